"""Requests go wrong on purpose, and exactly as told."""

from __future__ import annotations

import http.client
import json

import pytest
import requests

from simulator import Simulator
from tests.simulator.api import JIT, PAT, Call, add_runners


def test_a_fault_hits_the_next_requests_and_is_over(simulator: Simulator, call: Call) -> None:
    """A fault meets so many requests of the method and path that it names."""
    simulator.fault(method="POST", path="/registration-token$", status=503, times=2)
    path = "repos/acme/shop/actions/runners"
    assert call("GET", path).status_code == 200
    statuses = [call("POST", path + "/registration-token").status_code for _ in range(3)]
    assert statuses == [503, 503, 201]


@pytest.mark.parametrize("refusal", ["rate-limit", "secondary-rate-limit", "single-sign-on"])
def test_a_fault_can_be_one_of_githubs_refusals(
    simulator: Simulator, call: Call, refusal: str
) -> None:
    """A refusal has a name, and comes with GitHub's headers."""
    simulator.fault(path="/actions/runners", refusal=refusal)
    answer = call("GET", "repos/acme/shop/actions/runners")
    assert answer.status_code == 403
    assert {"x-ratelimit-reset", "retry-after", "x-github-sso"} & set(answer.headers)


def test_a_lost_answer_leaves_its_effect(simulator: Simulator, call: Call) -> None:
    """The request is carried out, and then the connection is reset."""
    simulator.fault(path="/generate-jitconfig$", after=True, reset=True)
    with pytest.raises(requests.ConnectionError):
        add_runners(call, "lost")
    assert [runner["name"] for runner in simulator.runners()] == ["lost"]


def test_a_request_that_its_client_gave_up_is_carried_out(simulator: Simulator) -> None:
    """A slow request has its effect although its client has gone."""
    simulator.fault(path="/generate-jitconfig$", hold="request")
    connection = post(simulator, "generate-jitconfig", JIT)
    simulator.wait_for("fault")
    connection.close()
    simulator.wait_for("answer", path="/generate-jitconfig")
    simulator.release("request")
    assert simulator.wait_for("runner_registered", runner="r")


def test_a_request_that_hangs_never_answers(simulator: Simulator) -> None:
    """The request is noted, and has no effect."""
    simulator.fault(path="/remove-token$", hang=True)
    connection = post(simulator, "remove-token")
    simulator.wait_for("fault")
    connection.sock.settimeout(0.1)
    with pytest.raises(TimeoutError):
        connection.getresponse()
    connection.close()
    assert simulator.requests()[-1]["status"] is None
    assert not simulator.tokens().get("remove")


def post(simulator: Simulator, path: str, body: object = None) -> http.client.HTTPConnection:
    """Send a request about runners, and leave its answer to be read."""
    connection = http.client.HTTPConnection(simulator.url.removeprefix("http://"), timeout=30)
    headers = {"Authorization": f"Bearer {PAT}", "User-Agent": "test"}
    address = f"/repos/acme/shop/actions/runners/{path}"
    connection.request("POST", address, json.dumps(body), headers)
    return connection


def test_too_many_points_in_a_minute(simulator: Simulator, call: Call) -> None:
    """A GET costs one point, a POST five; beyond the limit GitHub says when to come again."""
    simulator.settings(points_per_minute=12)
    path = "repos/acme/shop/actions/runners"
    for method, address in [("POST", f"{path}/registration-token"), ("GET", path)] * 2:
        assert call(method, address).ok
    refused = call("GET", path)
    assert refused.status_code == 403
    assert "secondary rate limit" in refused.json()["message"]
    assert 0 < int(refused.headers["retry-after"]) <= 60
    simulator.add_credential("ghp_other")
    assert call("GET", path, token="ghp_other").ok, "each credential has limits of its own"


def test_too_many_requests_at_once(simulator: Simulator, call: Call) -> None:
    """As many as the limit are answered at a time, and one more is refused."""
    simulator.settings(concurrent_requests=1)
    simulator.fault(path="/remove-token$", hold="answer")
    connection = post(simulator, "remove-token")
    simulator.wait_for("fault")
    path = "repos/acme/shop/actions/runners"
    assert call("GET", path).status_code == 403
    simulator.release("answer")
    assert connection.getresponse().status == 201
    connection.close()
    assert call("GET", path).ok


def test_too_many_registrations(simulator: Simulator, call: Call) -> None:
    """A repository takes so many runners in five minutes; another one is not concerned."""
    simulator.settings(registrations=2)
    add_runners(call, "a", "b")
    path = "actions/runners/generate-jitconfig"
    refused = call("POST", f"repos/acme/shop/{path}", json={**JIT, "name": "c"})
    assert refused.status_code == 403
    assert 0 < int(refused.headers["retry-after"]) <= 300
    assert call("POST", f"repos/acme/other/{path}", json={**JIT, "name": "c"}).status_code == 201
