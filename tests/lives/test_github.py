"""Whole lives on every kind of scope, credential and way to GitHub."""

import json
import os
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from simulator import Simulator
from tests.support import pki, wire
from tests.support.life import TOKEN, Life, until
from tests.unit.github.test_app import KEY, PEM

JIT = {"RUNNER_REGISTRATION": "jit"}
CONFIG = {"RUNNER_REGISTRATION": "config"}
both_ways = pytest.mark.parametrize("way", [CONFIG, JIT], ids=["config", "jit"])
SCOPES = {
    "repos/acme/shop": {"GITHUB_URL": "https://github.com/acme/shop"},
    "orgs/acme": {"GITHUB_URL": "https://github.com/acme"},
    "enterprises/acme": {"GITHUB_ENTERPRISE": "acme"},
}
NOBODY = {"GITHUB_OWNER": "", "GITHUB_REPOSITORY": ""}


def works(life: Life, scope: str = "repos/acme/shop", **settings: str) -> list[str]:
    """Let the life do one job, and return its calls of the REST API."""
    job = life.simulator.queue_job("exit 0", scope=scope)
    life.start(**settings)
    assert life.wait() == 0, life.output
    assert life.simulator.job(job["id"])["result"] == "succeeded"
    assert life.simulator.runners() == []
    return rest_calls(life.simulator)


def rest_calls(simulator: Simulator) -> list[str]:
    """Return method and path of all calls of the REST API but those of config.sh."""
    scopes = ("/repos/", "/orgs/", "/enterprises/", "/app/")
    return [
        f"{r['method']} {r['path']}"
        for r in simulator.requests()
        if r["path"].startswith(scopes) and "RemoteAuth" not in str(r)
    ]


@both_ways
@pytest.mark.parametrize("scope", SCOPES)
def test_scopes(scope: str, way: dict[str, str], life: Life) -> None:
    """A runner of a repository, an organization or an enterprise does its job and is gone."""
    works(life, scope, **NOBODY, **SCOPES[scope], **way)


def test_jit_costs_one_call(life: Life) -> None:
    """JIT with a token and the default group makes one call, and none after the job."""
    calls = works(life, **JIT, RUNNER_VERSION="")
    assert calls == ["POST /repos/acme/shop/actions/runners/generate-jitconfig"]
    assert len(os.listdir(life.home)) > 0
    assert "Runner successfully added" not in life.output


def know_app(simulator: Simulator) -> dict[str, str]:
    """Make the App known to GitHub, and return its settings."""
    public = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    permissions = {"administration": "write", "organization_self_hosted_runners": "write"}
    installation = {"id": 42, "account": "acme", "permissions": permissions}
    simulator.add_app(7, public.decode(), installation)
    return {"GITHUB_PERSONAL_TOKEN": "", "GITHUB_APP_ID": "7", "GITHUB_APP_PRIVATE_KEY": PEM}


@both_ways
def test_app(way: dict[str, str], life: Life) -> None:
    """An App finds its installation and registers with a token of it."""
    app = know_app(life.simulator)
    calls = works(life, **app, **way, RUNNER_VERSION="")
    assert calls[:2] == [
        "GET /repos/acme/shop/installation",
        "POST /app/installations/42/access_tokens",
    ]


def test_app_makes_a_new_token_at_the_end(life: Life) -> None:
    """An App whose token has expired still removes its idle runner."""
    life.start(**know_app(life.simulator))
    life.simulator.wait_for("session_opened", timeout=20)
    life.simulator.expire_tokens()
    life.signal()
    assert life.wait() == 143, life.output
    assert life.simulator.runners() == []


def registration_token(simulator: Simulator) -> str:
    """Make a registration token, as a person does by hand."""
    request = urllib.request.Request(
        f"{simulator.url}/repos/acme/shop/actions/runners/registration-token",
        method="POST",
        headers={
            "Authorization": f"Bearer {TOKEN}",
            "Accept": "application/vnd.github+json",
            "X-GitHub-Api-Version": "2022-11-28",
            "User-Agent": "test",
        },
    )
    with urllib.request.urlopen(request) as answer:
        token: str = json.load(answer)["token"]
    return token


def test_registration_token(life: Life) -> None:
    """A registration token registers and removes; the log first says what it cannot do."""
    token = registration_token(life.simulator)
    life.start(GITHUB_PERSONAL_TOKEN="", RUNNER_TOKEN=token)
    life.simulator.wait_for("session_opened", timeout=20)
    assert "valid for one hour" in life.output
    life.signal()
    assert life.wait() == 143, life.output
    assert life.simulator.runners() == []
    assert token not in life.output


@pytest.fixture
def tls(tmp_path: Path) -> Iterator[tuple[Simulator, Path]]:
    """A GitHub whose certificate a private authority has signed, and the authority's file."""
    authority = pki.authority(tmp_path)
    with Simulator("--certificate", str(authority.certify())) as simulator:
        yield simulator, authority.path


@both_ways
def test_private_authority(way: dict[str, str], tls: tuple[Simulator, Path], life: Life) -> None:
    """With RUNNER_CA_FILE the life and its listener trust the authority."""
    simulator, path = tls
    life.simulator = simulator
    simulator.make_distribution(life.home, owner="nobody")
    api = f"https://127.0.0.1:{simulator.tls_port}"
    job = simulator.queue_job("echo node:$NODE_EXTRA_CA_CERTS", scope="repos/acme/shop")
    life.start(GITHUB_API_URL=api, RUNNER_CA_FILE=str(path), **way)
    assert life.wait() == 0, life.output
    assert f"node:{life.directory}/state/ca.pem" in simulator.job(job["id"])["log"]


@pytest.mark.parametrize("login", ["", "svc:hunter2"])
def test_tunnel(login: str, life: Life, tmp_path: Path) -> None:
    """A life reaches GitHub through a company's proxy, which gets its own password only."""
    authority = pki.authority(tmp_path)
    host = "github.test"  # a name that only the proxy knows
    heard: list[str] = []
    with (
        Simulator("--certificate", str(authority.certify(host))) as life.simulator,
        wire.server(wire.tunnel(life.simulator.tls_port, heard, login)) as port,
    ):
        life.simulator.make_distribution(life.home, owner="nobody")
        works(
            life,
            GITHUB_API_URL=f"https://{host}",
            HTTPS_PROXY=f"http://{login}{'@' if login else ''}127.0.0.1:{port}",
            RUNNER_CA_FILE=str(authority.path),
        )
    assert heard[0].startswith(f"CONNECT {host}:443 ")
    assert TOKEN not in "".join(heard)
    assert "hunter2" not in life.output


@pytest.mark.parametrize("bypass", ["", "other.invalid"])
def test_proxy(bypass: str, life: Life) -> None:
    """A life reaches GitHub through HTTP_PROXY by a name that only the proxy knows."""
    heard: list[str] = []
    port = int(life.simulator.url.rpartition(":")[2])
    with wire.server(wire.proxy(port, heard)) as proxy:
        life.start(
            "check",
            GITHUB_API_URL="http://api.test.invalid",
            GITHUB_ALLOW_HTTP="1",
            HTTP_PROXY=f"http://user:hunter2@127.0.0.1:{proxy}",
            NO_PROXY=bypass,
        )
        assert life.wait() == 0, life.output
    assert heard[0].startswith("GET http://api.test.invalid/meta")
    assert f"proxy       http://127.0.0.1:{proxy}" in life.output
    assert "hunter2" not in life.output


@pytest.mark.parametrize("bypass", ["127.0.0.1", "*"])
def test_no_proxy(bypass: str, life: Life) -> None:
    """A life reaches the hosts of NO_PROXY without the proxy."""
    settings = {"HTTP_PROXY": "http://127.0.0.1:1", "NO_PROXY": bypass}
    life.start("check", **settings)
    assert life.wait() == 0, life.output


def test_a_deprecated_version_is_warned_of(life: Life) -> None:
    """A warning names the day on which GitHub stops accepting the version."""
    day = time.strftime("%Y-%m-%dT00:00:00Z", time.gmtime(time.time() + 30 * 86400))
    known = {"runner_version": "2.336.0", "registration_deprecates_at": day}
    life.simulator.fault(path="/deprecations/2.336.0$", status=200, body=known)
    life.start(RUNNER_VERSION="2.336.0")
    life.simulator.wait_for("session_opened", timeout=20)
    until(lambda: day[:10] in life.output)
    life.signal()
    assert life.wait() == 143


def test_a_version_that_is_no_longer_accepted(life: Life) -> None:
    """After that day the life ends with 7, and nothing stays registered."""
    life.simulator.deprecate("2.336.0", registration_at="2020-01-01T00:00:00Z")
    life.start(RUNNER_VERSION="2.336.0")
    assert life.wait() == 7, life.output
    assert "rebuild the image" in life.error()
    assert life.simulator.runners() == []


@both_ways
def test_a_listener_that_is_refused_for_its_version(
    way: dict[str, str], life: Life, simulator: Simulator
) -> None:
    """The listener ends with 1; GitHub's answer about the version turns that into 7."""
    simulator.deprecate("2.336.0", registration_at="2020-01-01T00:00:00Z", told_at="session")
    simulator.fault(path="/_services/session", hold="session")
    life.start(RUNNER_VERSION="2.336.0", **way)
    simulator.wait_for("answer", path="/deprecations/")
    simulator.wait_for("fault")
    us = life.inside()[life.pid_1]
    until(lambda: list(life.inside().values()).count(us) == 1)  # its child has ended
    simulator.release("session")
    assert life.wait() == 7, life.output
    assert "until 2020-01-01" in life.error()
    assert simulator.runners() == []
