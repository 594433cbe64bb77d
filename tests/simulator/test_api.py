"""The stand-in for GitHub keeps to GitHub's description, and refuses as GitHub does."""

from __future__ import annotations

import json
from typing import Any

import pytest

from simulator import Simulator
from tests.simulator.api import JIT, SCOPES, Call, add_runners


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("prefix", ["", "api/v3/"])
def test_every_operation_keeps_to_the_description(call: Call, scope: str, prefix: str) -> None:
    """Each scope has all the operations, on github.com and on an Enterprise Server."""
    runners = f"{prefix}{scope}/actions/runners"
    assert call("POST", f"{runners}/registration-token").status_code == 201
    assert call("POST", f"{runners}/remove-token").status_code == 201
    (runner_id,) = add_runners(call, "one", scope=prefix + scope)
    assert call("GET", runners).json()["total_count"] == 1
    assert call("GET", f"{runners}/{runner_id}").json()["name"] == "one"
    assert call("GET", f"{runners}/downloads").json()[0]["os"] == "linux"
    assert call("DELETE", f"{runners}/{runner_id}").status_code == 204
    assert call("GET", f"{runners}/{runner_id}").status_code == 404


def test_operations_of_no_scope_keep_to_the_description(call: Call) -> None:
    """The host describes itself and the rate limit."""
    assert call("GET", "meta").status_code == 200
    assert call("GET", "rate_limit").json()["rate"]["remaining"] == 5000


def test_a_list_comes_in_pages(simulator: Simulator, call: Call) -> None:
    """The Link header leads through the pages, and each page tells the total."""
    add_runners(call, *[f"r{number}" for number in range(5)])
    first = call("GET", "repos/acme/shop/actions/runners", params={"per_page": 2})
    assert [runner["name"] for runner in first.json()["runners"]] == ["r0", "r1"]
    assert first.json()["total_count"] == 5
    assert set(first.links) == {"next", "last"}
    last = call("GET", first.links["last"]["url"].removeprefix(simulator.url + "/"))
    assert [runner["name"] for runner in last.json()["runners"]] == ["r4"]
    assert set(last.links) == {"prev", "first"}


def test_a_runner_is_found_by_its_name(call: Call) -> None:
    """The filter leaves the one runner of that name."""
    add_runners(call, "one", "two")
    found = call("GET", "repos/acme/shop/actions/runners", params={"name": "two"}).json()
    assert [runner["name"] for runner in found["runners"]] == ["two"]


def test_scopes_are_apart(call: Call) -> None:
    """A runner of one repository is not seen from another one, and its id is unknown there."""
    (runner_id,) = add_runners(call, "one")
    assert call("GET", "repos/acme/other/actions/runners").json()["total_count"] == 0
    assert call("DELETE", f"repos/acme/other/actions/runners/{runner_id}").status_code == 404


def test_groups_exist_for_organizations_only(simulator: Simulator, call: Call) -> None:
    """A repository has no runner groups."""
    simulator.add_group("gpu")
    groups = call("GET", "orgs/acme/actions/runner-groups").json()["runner_groups"]
    assert [group["name"] for group in groups] == ["Default", "gpu"]
    answer = call("GET", "repos/acme/shop/actions/runner-groups", data=b"")
    assert answer.status_code == 404


def test_a_deprecated_version_has_its_dates(simulator: Simulator, call: Call) -> None:
    """An unknown version has no dates, and an Enterprise Server has no such call."""
    simulator.deprecate("2.300.0", runtime_at="2026-01-01T00:00:00Z")
    path = "orgs/acme/actions/runners/deprecations/"
    assert call("GET", path + "2.300.0").json()["runtime_deprecates_at"] == "2026-01-01T00:00:00Z"
    assert call("GET", path + "2.336.0").json()["runtime_deprecates_at"] is None
    assert call("GET", "api/v3/" + path + "2.300.0").status_code == 404


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"labels": []}, 422),
        ({"labels": ["x"] * 101}, 422),
        ({"name": "x" * 65}, 422),
        ({"runner_group_id": "1"}, 422),
        ({"runner_group_id": 99}, 404),
    ],
)
def test_a_jit_request_is_checked(call: Call, changes: dict[str, Any], status: int) -> None:
    """What GitHub would refuse is refused."""
    path = "repos/acme/shop/actions/runners/generate-jitconfig"
    answer = call("POST", path, data=json.dumps({**JIT, **changes}))
    assert answer.status_code == status


def test_a_name_is_taken_only_once(call: Call) -> None:
    """A second runner of the same name is a conflict."""
    add_runners(call, "r")
    answer = call("POST", "repos/acme/shop/actions/runners/generate-jitconfig", json=JIT)
    assert answer.status_code == 409
    assert "Already exists" in answer.json()["message"]


def test_an_old_enterprise_server_lacks_jit_and_the_name_filter(
    simulator: Simulator, call: Call
) -> None:
    """JIT came with Enterprise Server 3.10, the filter with 3.11."""
    simulator.settings(ghes_version="3.9.0")
    path = "api/v3/repos/acme/shop/actions/runners"
    assert call("POST", path + "/generate-jitconfig", json=JIT).status_code == 404
    add_runners(call, "one")
    assert call("GET", path, params={"name": "other"}).json()["total_count"] == 1


@pytest.mark.parametrize(
    "path", ["repos/acme/shop/actions/runners/", "repos/acme/shop/actions/nothing", "nothing"]
)
def test_an_unknown_path_is_not_found(call: Call, path: str) -> None:
    """A path with a slash at its end is unknown, too."""
    answer = call("GET", path, data=b"")
    assert answer.status_code == 404
    assert answer.json()["message"] == "Not Found"


@pytest.mark.parametrize(
    ("token", "message"), [("ghp_wrong", "Bad credentials"), ("", "Requires authentication")]
)
def test_a_bad_token_is_refused(call: Call, token: str, message: str) -> None:
    """GitHub's words tell an unknown token from a missing one."""
    answer = call("POST", "repos/acme/shop/actions/runners/registration-token", token=token)
    assert answer.status_code == 401
    assert answer.json()["message"] == message


@pytest.mark.parametrize(
    ("fields", "status", "header", "value"),
    [
        ({"access": ["other"]}, 404, "x-github-request-id", ""),
        ({"scopes": ["repo:status"]}, 403, "x-accepted-oauth-scopes", "repo"),
        ({"sso": ["acme"]}, 403, "x-github-sso", "required; url=https://github.com/orgs/acme/sso"),
        ({"admin": False}, 403, "x-oauth-scopes", "repo"),
        ({"limit": 0}, 403, "x-ratelimit-remaining", "0"),
        ({"kind": "fine-grained"}, 403, "x-accepted-github-permissions", "administration=write"),
    ],
)
def test_a_token_with_limits_is_refused(
    simulator: Simulator, call: Call, fields: dict[str, Any], status: int, header: str, value: str
) -> None:
    """A header of the refusal names what the token lacks."""
    simulator.add_credential("ghp_limited", **fields)
    path = "repos/acme/shop/actions/runners/registration-token"
    answer = call("POST", path, token="ghp_limited")
    assert answer.status_code == status
    assert value in answer.headers[header]


def test_a_permission_to_read_lists_but_does_not_write(simulator: Simulator, call: Call) -> None:
    """A fine-grained token may do what its permissions say."""
    simulator.add_credential("pat", kind="fine-grained", permissions={"administration": "read"})
    assert call("GET", "repos/acme/shop/actions/runners", token="pat").status_code == 200
    path = "repos/acme/shop/actions/runners/remove-token"
    assert call("POST", path, token="pat").status_code == 403


def test_every_answer_has_githubs_headers(call: Call) -> None:
    """Each answer has a request id, the date and the state of the rate limit."""
    headers = call("GET", "repos/acme/shop/actions/runners").headers
    assert headers["x-github-request-id"]
    assert headers["Date"]
    assert headers["x-ratelimit-remaining"] == "4999"


def test_an_unsupported_api_version_is_refused(call: Call) -> None:
    """A request without a User-Agent is refused as well."""
    version = {"X-GitHub-Api-Version": "1999-01-01"}
    assert call("GET", "meta", headers=version, data=b"").status_code == 400
    assert call("GET", "meta", headers={"User-Agent": ""}, data=b"").status_code == 403
