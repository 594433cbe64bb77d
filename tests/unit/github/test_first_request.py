"""The first request without the library requests: when it is used, and what follows if it fails."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from entrypoint.github import first_request
from entrypoint.github.first_request import Known
from simulator import Simulator
from tests.support import fakehub, pki, wire
from tests.support.life import TOKEN, Life

SECRETS = {"GITHUB_PERSONAL_TOKEN": TOKEN}
PATH = "/repos/acme/shop/actions/runners/registration-token"
HOST = "github.test"  # a name that no DNS knows
DEAD = "http://127.0.0.1:1"


def ask(url: str, environ: dict[str, str] | None = None, **env: str) -> Known | None:
    """Send the first request to this address, and return what is known afterwards."""
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


@pytest.fixture
def secure(tmp_path: Path) -> Iterator[tuple[Simulator, str]]:
    """A GitHub whose certificate a private authority has signed; and the authority's file."""
    authority = pki.authority(tmp_path)
    with Simulator("--certificate", str(authority.certify(HOST))) as simulator:
        yield simulator, str(authority.path)


@pytest.mark.parametrize("login", ["", "svc:p@ss w%rd/ü"])
def test_goes_through_a_tunnel(secure: tuple[Simulator, str], login: str) -> None:
    """A proxy gets GitHub's name and its own password, and nothing that is for GitHub."""
    simulator, ca_file = secure
    name, _, password = login.partition(":")
    user_info = f"{name}:{quote(password, safe='')}@" if login else ""
    heard: list[str] = []
    talk = wire.tunnel(simulator.tls_port, heard, login)
    with wire.server(talk) as port:
        proxies = {"HTTPS_PROXY": f"http://{user_info}127.0.0.1:{port}", "NO_PROXY": "other.test"}
        known = ask(f"https://{HOST}", proxies, RUNNER_CA_FILE=ca_file)
    assert known is not None
    assert known.token.startswith("A")
    assert len(simulator.requests()) == 1
    [opening] = heard
    assert opening.startswith(f"CONNECT {HOST}:443 ")
    assert TOKEN not in opening
    assert ("Proxy-Authorization" in opening) == bool(login)


def test_trusts_a_private_authority(tmp_path: Path) -> None:
    """With RUNNER_CA_FILE a server of that authority is trusted, and no file is written."""
    authority = pki.authority(tmp_path)
    state = tmp_path / "state"
    with Simulator("--certificate", str(authority.certify())) as simulator:
        known = ask(
            f"https://127.0.0.1:{simulator.tls_port}",
            RUNNER_CA_FILE=str(authority.path),
            RUNNER_STATE_DIR=str(state),
        )
    assert known is not None
    assert known.token.startswith("A")
    assert not state.exists()


@pytest.mark.parametrize(
    ("proxy", "github"),
    [("https", f"https://{HOST}"), ("http", f"http://{HOST}")],
    ids=["TLS to the proxy", "no TLS to GitHub"],
)
def test_leaves_other_proxies_to_the_client(proxy: str, github: str) -> None:
    """A proxy that needs TLS, or is for plain http, gets no request; the client does that."""
    heard: list[str] = []
    with wire.server(wire.says("", heard)) as port:
        address = f"{proxy}://127.0.0.1:{port}"
        environ = {"HTTPS_PROXY": address, "HTTP_PROXY": address}
        assert ask(github, environ, GITHUB_ALLOW_HTTP="1") is None
    assert heard == []


@pytest.mark.parametrize(
    "answer",
    ["HTTP/1.1 407 Log in\n\n", "HTTP/1.1 503 No\n\n", "HTTP/1.1 200 OK\n\nno TLS", "what?"],
)
def test_a_proxy_that_opens_no_tunnel(secure: tuple[Simulator, str], answer: str) -> None:
    """If a proxy opens no tunnel, the client repeats the request and explains the failure."""
    with wire.server(wire.says(answer)) as port:
        proxy = {"https_proxy": f"http://127.0.0.1:{port}"}
        assert ask(f"https://{HOST}", proxy, RUNNER_CA_FILE=secure[1]) is None
    assert secure[0].requests() == []


@pytest.mark.parametrize(
    "environ",
    [
        {"NO_PROXY": "example.com", "HTTP_PROXY": ""},
        {"HTTP_PROXY": DEAD, "no_proxy": "127.0.0.1"},
        {"HTTPS_PROXY": DEAD},
        {"ALL_PROXY": DEAD},
    ],
)
def test_goes_past_a_proxy_for_others(simulator: Simulator, environ: dict[str, str]) -> None:
    """A proxy that is not for this host is not used."""
    assert ask(simulator.url, environ) is not None


@pytest.mark.parametrize("secrets", [{"GITHUB_APP_PRIVATE_KEY": "k"}, {"RUNNER_TOKEN": "t"}])
def test_other_credentials_are_none_of_its(simulator: Simulator, secrets: dict[str, str]) -> None:
    """With an App or a registration token this request is not sent."""
    settings = fakehub.parse({"GITHUB_API_URL": simulator.url})
    assert first_request.ask(settings, secrets, {}, time.monotonic() + 5) is None
    assert simulator.requests() == []


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "https://127.0.0.1:1", "https://no.invalid"])
def test_nobody_answers(url: str) -> None:
    """If there is no answer, the client repeats the request and finds the cause."""
    assert ask(url) is None


@pytest.mark.parametrize("fault", [{"reset": True}, {"delay": 9.0}])
def test_no_answer_in_time(simulator: Simulator, fault: dict[str, Any]) -> None:
    """The request ends at its deadline, whatever the server does."""
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
    """Only an answer of GitHub's form contains a token."""
    assert Known("POST", "", status, "", [], json.dumps(body).encode()).token == token


def test_answer_that_is_no_json() -> None:
    """A page of HTML contains no token."""
    assert Known("POST", "", 201, "", [], b"<html>").token == ""


def test_refusal_is_not_asked_for_twice(life: Life, simulator: Simulator) -> None:
    """The client explains the first request's refusal, and sends no second request."""
    simulator.fault(path=PATH, refusal="bad-credentials")
    assert life.start().wait() == 77, life.output
    assert "401 'Bad credentials'" in life.error()
    assert len(simulator.requests()) == 1


def test_rate_limit_is_honoured(life: Life, simulator: Simulator) -> None:
    """After a rate limit in the first answer the client waits."""
    simulator.fault(path=PATH, status=429, headers={"retry-after": "1"})
    simulator.queue_job()
    assert life.start().wait() == 0, life.output
    first, second = [request["time"] for request in simulator.requests() if request["path"] == PATH]
    assert second - first >= 1


def test_lost_connection_is_tried_anew(life: Life, simulator: Simulator) -> None:
    """After a broken connection the client sends one more request."""
    simulator.fault(path=PATH, reset=True)
    simulator.queue_job()
    assert life.start().wait() == 0, life.output
