"""Whatever GitHub or config.sh answers ends with a message, a code, and no runner left."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from simulator import Simulator
from tests.support.life import Life
from tests.support.mutants import constant, mutated, replace

TOKEN_PATH = "/registration-token"
US = "gh-runner"

# Answers to the request for a registration token; the message names what is missing in them.
# (GitHub's own refusals are in test_refused.py.)
NO_ANSWERS: dict[str, tuple[dict[str, Any], str]] = {
    "HTML": ({"status": 200, "body": "<html>log in"}, "something else than GitHub's API"),
    "HTML and 404": ({"status": 404, "body": "<html>"}, "something else than GitHub's API"),
    "nothing": ({"status": 201, "body": ""}, "no 'token' in the answer"),
    "other members": ({"status": 201, "body": {"tokens": 1}}, "no 'token' in the answer"),
    "a list": ({"status": 201, "body": [1]}, "no 'token' in the answer"),
    "a number": ({"status": 201, "body": {"token": 7}}, "no 'token' in the answer"),
    "null": ({"status": 201, "body": {"token": None}}, "no 'token' in the answer"),
    "an empty text": ({"status": 201, "body": {"token": ""}}, "no 'token' in the answer"),
}
STOPPED_WHILE_ENDED = [
    constant("CONFIG_TIMEOUT", "0.5"),
    replace("register._configure", "pid_1.end(child)", "pid_1.handle(15)"),
]


@pytest.mark.parametrize("case", NO_ANSWERS)
def test_answer_that_is_none_of_githubs(life: Life, simulator: Simulator, case: str) -> None:
    """A success without a token is not GitHub's: no listener starts, and 78 says why."""
    fault, words = NO_ANSWERS[case]
    simulator.fault(path=TOKEN_PATH, **fault)
    assert life.start().wait() == 78, life.output
    assert words in life.error()
    assert f"POST /repos/acme/shop/actions/runners{TOKEN_PATH}" in life.error()
    assert {request["user_agent"] for request in simulator.requests()} == {US}
    assert "Traceback" not in life.output


def test_trouble_that_passes_is_no_failure(life: Life, simulator: Simulator) -> None:
    """A single 502 costs a second and a warning."""
    simulator.fault(path=TOKEN_PATH, status=502)
    simulator.queue_job()
    assert life.start().wait() == 0, life.output
    assert any("GitHub is asked again" in line["event"] for line in life.log)


def test_unknown_group(life: Life, simulator: Simulator) -> None:
    """A runner group that the organization does not have is a wrong setting."""
    assert life.start(GITHUB_REPOSITORY="", RUNNER_GROUP="Nobody").wait() == 78, life.output
    assert "no runner group 'Nobody'" in life.error()
    assert simulator.runners() == []


def test_failing_config_sh_is_quoted(life: Life, simulator: Simulator) -> None:
    """If GitHub fails while config.sh registers, the message has GitHub's words."""
    simulator.fault(path="/actions/runners/register", status=500, times=0)
    assert life.start().wait() == 76, life.output
    assert "config.sh ended with 1" in life.error()
    assert "Http response code: InternalServerError" in life.error()
    assert simulator.runners() == []


def test_lost_answer_leaves_nobody(life: Life, simulator: Simulator) -> None:
    """If GitHub's answer is lost, the runner is found by its name and removed."""
    simulator.fault(path="/actions/runners/register", after=True, status=500, times=0)
    assert life.start().wait() == 76, life.output
    assert simulator.last_event()
    assert any(event["kind"] == "runner_registered" for event in simulator.events())
    assert simulator.runners() == []


def test_stop_while_a_config_sh_that_hangs_is_ended(life: Life, simulator: Simulator) -> None:
    """A stop comes as a hanging config.sh is ended; the runner at GitHub is removed."""
    life.program = mutated(life.directory, *STOPPED_WHILE_ENDED)
    simulator.fault(path="/actions/runners/register", after=True, hang=True)
    assert life.start(GITHUB_TIMEOUT="4").wait() == 143, life.output
    assert any(event["kind"] == "runner_registered" for event in simulator.events())
    assert simulator.runners() == []


def test_token_that_expires_under_way(life: Life, simulator: Simulator) -> None:
    """If GitHub no longer takes the token, config.sh is quoted."""
    simulator.settings(token_seconds=-1.0)
    assert life.start().wait() == 77, life.output
    assert "Http response code: NotFound" in life.error()


def test_config_sh_that_aborts(life: Life, simulator: Simulator) -> None:
    """The message has the exit code and the last lines of a config.sh that dies."""
    (life.home / "config.sh").write_text("#!/bin/sh\necho 'Aborted (core dumped)'\nkill -ABRT $$\n")
    assert life.start().wait() == 76, life.output
    assert "config.sh ended with 134 and said:\nAborted (core dumped)" in life.error()
    assert simulator.runners() == []


def test_config_sh_that_cannot_be_executed(life: Life) -> None:
    """If config.sh lacks the x bit, the error is about RUNNER_HOME, and is no defect of ours."""
    (life.home / "config.sh").chmod(0o644)
    assert life.start().wait() == 78, life.output
    assert "nobody cannot execute" in life.error()


def test_what_is_registered(life: Life, simulator: Simulator) -> None:
    """GitHub gets the name, the labels, and that the runner is ephemeral."""
    life.start(RUNNER_LABELS="gpu,big box")
    simulator.wait_for("session_opened")
    [runner] = simulator.runners()
    assert runner["name"].startswith("r-")
    assert runner["ephemeral"] is True
    labels = [label["name"] for label in runner["labels"]]
    assert labels == ["self-hosted", "Linux", "X64", "gpu", "big box"]


def test_no_default_labels(life: Life, simulator: Simulator) -> None:
    """With RUNNER_NO_DEFAULT_LABELS only the labels of RUNNER_LABELS are left."""
    life.start(RUNNER_LABELS="gpu", RUNNER_NO_DEFAULT_LABELS="1")
    simulator.wait_for("session_opened")
    [runner] = simulator.runners()
    assert [label["name"] for label in runner["labels"]] == ["gpu"]


def test_registration_of_an_earlier_start_is_cleared(
    new_life: Callable[..., Life], simulator: Simulator
) -> None:
    """A left `.runner` would make config.sh refuse; it is deleted, and the log says so."""
    life = new_life()
    for name in (".runner", ".credentials", ".credentials_rsaparams", ".runner_migrated"):
        (life.home / name).write_text("{}")
    simulator.queue_job()
    assert life.start().wait() == 0, life.output
    [warning] = [line["event"] for line in life.log if line["level"] == "warning"]
    assert warning.startswith("cleared what an earlier start has left: .runner .runner_migrated")


def test_github_that_cannot_be_reached_is_named_at_once(life: Life) -> None:
    """The first failed try already names the host and the likely cause."""
    life.env["GITHUB_API_URL"] = "http://127.0.0.1:9"
    assert life.start(GITHUB_TIMEOUT="4").wait() == 75, life.output
    again = [line for line in life.log if line.get("event_name") == "github.asked_again"]
    assert again[0]["host"].startswith("127.0.0.1")
    assert "firewall" in again[0]["hint"]
    assert all("hint" not in line for line in again[1:])


def test_debug_tells_requests_and_phases(life: Life, simulator: Simulator) -> None:
    """RUNNER_LOG_LEVEL=debug logs each request and phase."""
    simulator.queue_job()
    assert life.start(RUNNER_LOG_LEVEL="debug", RUNNER_REGISTRATION="jit").wait() == 0, life.output
    told = {line.get("event_name") for line in life.log}
    assert {"github.request", "life.phase"} <= told
