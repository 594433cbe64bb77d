"""The requests that the scenarios send to github.com."""

from __future__ import annotations

import json

import responses

from tests.live.github import PAGE, GitHub

API = "https://api.github.test"
ACTIONS = f"{API}/repos/acme/shop/actions"
RUNS = f"{ACTIONS}/workflows/live-job.yml/runs"


def github() -> GitHub:
    """A client with two tokens."""
    return GitHub(API, "acme/shop", "main", "admin", "worker")


@responses.activate
def test_all_pages_of_runners_are_read() -> None:
    """All pages of the list of runners are read, with the token that may see them."""
    names = [f"r{number}" for number in range(PAGE + 1)]
    for page in (names[:PAGE], names[PAGE:]):
        shown = [{"name": name, "status": "online"} for name in page]
        responses.get(f"{ACTIONS}/runners", json={"total_count": PAGE + 1, "runners": shown})
    assert list(github().runners()) == names
    assert responses.calls[0].request.headers["Authorization"] == "Bearer admin"
    assert "page=2" in str(responses.calls[1].request.url)


@responses.activate
def test_a_job_is_started_by_its_workflow() -> None:
    """A job is a run of the workflow with the label as its input."""
    responses.post(f"{ACTIONS}/workflows/live-job.yml/dispatches", status=204)
    github().dispatch("live-1", "quick")
    request = responses.calls[0].request
    assert json.loads(request.body or "") == {
        "ref": "main",
        "inputs": {"label": "live-1", "kind": "quick"},
    }
    assert request.headers["Authorization"] == "Bearer worker"


@responses.activate
def test_a_job_is_found_by_its_label() -> None:
    """The run whose title is the label has the job's status; without such a run it is empty."""
    runs = [{"id": 1, "display_title": "live-1"}, {"id": 2, "display_title": "live-2"}]
    responses.get(RUNS, json={"workflow_runs": []})
    responses.get(RUNS, json={"workflow_runs": runs})
    job = {"status": "completed", "conclusion": "success"}
    responses.get(f"{ACTIONS}/runs/2/jobs", json={"jobs": [job]})
    assert github().job("live-2") == ("", "")
    assert github().job("live-2") == ("completed", "success")
