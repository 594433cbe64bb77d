"""The shortcut to a token: when it is used, and that nothing is lost when it is not."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from entrypoint.github import first_request
from entrypoint.github.first_request import Known
from simulator import Simulator
from tests.support import fakehub, pki
from tests.support.life import TOKEN, Life

SECRETS = {"GITHUB_PERSONAL_TOKEN": TOKEN}
PATH = "/repos/acme/shop/actions/runners/registration-token"


def ask(url: str, environ: dict[str, str] | None = None, **env: str) -> Known | None:
    """Return the answer of a GitHub at that URL."""
    given = {"GITHUB_OWNER": "acme", "GITHUB_REPOSITORY": "shop", "GITHUB_API_URL": url, **env}
    return first_request.ask(fakehub.parse(given), SECRETS, environ or {}, time.monotonic() + 5)


def test_asks_as_the_client_does(simulator: Simulator) -> None:
    """One request with GitHub's headers gets the token."""
    known = ask(simulator.url)
    assert known is not None
    assert known.token.startswith("A")
    [request] = simulator.requests()
    assert (request["method"], request["path"], request["scheme"]) == ("POST", PATH, "bearer")
    assert request["user_agent"] == "gh-runner"
    assert {"Accept", "X-GitHub-Api-Version"} <= set(request["headers"])


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "http_proxy", "ALL_PROXY", "REQUESTS_CA_BUNDLE"])
def test_leaves_it_to_the_client(simulator: Simulator, name: str) -> None:
    """With a proxy or private authorities the shortcut is not tried."""
    assert ask(simulator.url, {name: "http://127.0.0.1:1"}) is None
    assert simulator.requests() == []


@pytest.mark.parametrize("name", ["NO_PROXY", "no_proxy"])
def test_no_proxy_is_no_proxy(simulator: Simulator, name: str) -> None:
    """NO_PROXY without a proxy changes nothing."""
    assert ask(simulator.url, {name: "example.com", "HTTPS_PROXY": ""}) is not None


@pytest.mark.parametrize("secrets", [{"GITHUB_APP_PRIVATE_KEY": "k"}, {"RUNNER_TOKEN": "t"}])
def test_other_credentials_are_none_of_its(simulator: Simulator, secrets: dict[str, str]) -> None:
    """An App and a registration token do not use the shortcut."""
    settings = fakehub.parse({"GITHUB_API_URL": simulator.url})
    assert first_request.ask(settings, secrets, {}, time.monotonic() + 5) is None
    assert simulator.requests() == []


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "https://127.0.0.1:1", "https://no.invalid"])
def test_nobody_answers(url: str) -> None:
    """Without an answer the client finds out why."""
    assert ask(url) is None


@pytest.mark.parametrize("fault", [{"reset": True}, {"delay": 9.0}])
def test_no_answer_in_time(simulator: Simulator, fault: dict[str, Any]) -> None:
    """The deadline holds whatever the server does."""
    simulator.fault(path=PATH, **fault)
    begun = time.monotonic()
    assert ask(simulator.url) is None
    assert time.monotonic() - begun < 7


def test_trusts_nobody_unknown(tmp_path: Path) -> None:
    """A server whose certificate the system does not trust gets no credential."""
    certificate = pki.authority(tmp_path).certify()
    with Simulator("--certificate", str(certificate)) as simulator:
        assert ask(f"https://127.0.0.1:{simulator.tls_port}") is None
        assert simulator.requests() == []


@pytest.mark.parametrize(
    ("status", "body", "token"),
    [
        (201, {"token": "A"}, "A"),
        (200, {"token": "A"}, ""),
        (201, {"token": 7}, ""),
        (201, {}, ""),
        (201, ["token"], ""),
        (201, None, ""),
    ],
)
def test_token_of_an_answer(status: int, body: Any, token: str) -> None:
    """Only GitHub's own answer holds a token."""
    assert Known("POST", "", status, "", [], json.dumps(body).encode()).token == token


def test_answer_that_is_no_json() -> None:
    """A page of HTML holds no token."""
    assert Known("POST", "", 201, "", [], b"<html>").token == ""


def test_refusal_is_not_asked_for_twice(life: Life, simulator: Simulator) -> None:
    """The client explains the answer that has come; GitHub has seen one request."""
    simulator.fault(path=PATH, refusal="bad-credentials")
    assert life.start().wait() == 77, life.output
    assert "401 'Bad credentials'" in life.error()
    assert len(simulator.requests()) == 1


def test_rate_limit_is_honoured(life: Life, simulator: Simulator) -> None:
    """A rate limit in the first answer is waited for."""
    simulator.fault(path=PATH, status=429, headers={"retry-after": "1"})
    simulator.queue_job()
    assert life.start().wait() == 0, life.output
    first, second = [request["time"] for request in simulator.requests() if request["path"] == PATH]
    assert second - first >= 1


def test_lost_connection_is_tried_anew(life: Life, simulator: Simulator) -> None:
    """A connection that breaks costs one more request."""
    simulator.fault(path=PATH, reset=True)
    simulator.queue_job()
    assert life.start().wait() == 0, life.output
