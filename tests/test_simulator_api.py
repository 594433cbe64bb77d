"""The stand-in for GitHub keeps to GitHub's description and refuses as GitHub does."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from simulator import Simulator
from tests import contract
from tests.life import until

PAT = "ghp_simulator"
SCOPES = ("repos/acme/shop", "orgs/acme", "enterprises/acme")
JIT = {"name": "r", "runner_group_id": 1, "labels": ["self-hosted"]}
Call = Callable[..., requests.Response]


@pytest.fixture(scope="module")
def server() -> Iterator[Simulator]:
    """One server for the whole module."""
    with Simulator() as simulator:
        yield simulator


@pytest.fixture
def simulator(server: Simulator) -> Simulator:
    """The server with an empty GitHub in it."""
    server.reset()
    return server


@pytest.fixture
def call(simulator: Simulator) -> Call:
    """A request to the simulator, checked against GitHub's own description of its API."""

    def send(method: str, path: str, token: str = PAT, **options: Any) -> requests.Response:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        headers |= options.pop("headers", {})
        url = f"{simulator.url}/{path}"
        with requests.request(method, url, headers=headers, timeout=10, **options) as response:
            sent = str(response.request.url)
            enterprise = sent.startswith(f"{simulator.url}/api/v3")
            host = "https://ghe.example.com" if enterprise else "https://api.github.com"
            response.request.url = sent.replace(simulator.url, host)
            return contract.keep(response) if options.get("data") is None else response

    return send


def add_runners(call: Call, *names: str, scope: str = SCOPES[0]) -> list[int]:
    """Register runners by just-in-time configurations; their ids."""
    path = f"{scope}/actions/runners/generate-jitconfig"
    answers = [call("POST", path, json={**JIT, "name": name}) for name in names]
    return [answer.json()["runner"]["id"] for answer in answers]


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
    """A runner of one repository is not seen from another, nor is its id."""
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
    """An unknown version has none, and GHES does not have the operation at all."""
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
    """JIT came with GHES 3.10, the filter with 3.11."""
    simulator.settings(ghes_version="3.9.0")
    path = "api/v3/repos/acme/shop/actions/runners"
    assert call("POST", path + "/generate-jitconfig", json=JIT).status_code == 404
    add_runners(call, "one")
    assert call("GET", path, params={"name": "other"}).json()["total_count"] == 1


@pytest.mark.parametrize(
    "path", ["repos/acme/shop/actions/runners/", "repos/acme/shop/actions/nothing", "nothing"]
)
def test_an_unknown_path_is_not_found(call: Call, path: str) -> None:
    """That includes a slash at the end."""
    answer = call("GET", path, data=b"")
    assert answer.status_code == 404
    assert answer.json()["message"] == "Not Found"


@pytest.mark.parametrize(
    ("token", "message"), [("ghp_wrong", "Bad credentials"), ("", "Requires authentication")]
)
def test_a_bad_token_is_refused(call: Call, token: str, message: str) -> None:
    """An unknown token and none at all are told apart."""
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
    """The refusal's header names what is missing."""
    simulator.add_credential("ghp_limited", **fields)
    path = "repos/acme/shop/actions/runners/registration-token"
    answer = call("POST", path, token="ghp_limited")
    assert answer.status_code == status
    assert value in answer.headers[header]


def test_a_permission_to_read_lists_but_does_not_write(simulator: Simulator, call: Call) -> None:
    """A fine-grained token is as good as its permission."""
    simulator.add_credential("pat", kind="fine-grained", permissions={"administration": "read"})
    assert call("GET", "repos/acme/shop/actions/runners", token="pat").status_code == 200
    path = "repos/acme/shop/actions/runners/remove-token"
    assert call("POST", path, token="pat").status_code == 403


def test_every_answer_has_githubs_headers(call: Call) -> None:
    """A request id, the date and the state of the rate limit."""
    headers = call("GET", "repos/acme/shop/actions/runners").headers
    assert headers["x-github-request-id"]
    assert headers["Date"]
    assert headers["x-ratelimit-remaining"] == "4999"


def test_an_unsupported_api_version_is_refused(call: Call) -> None:
    """So is a request that does not say who sends it."""
    version = {"X-GitHub-Api-Version": "1999-01-01"}
    assert call("GET", "meta", headers=version, data=b"").status_code == 400
    assert call("GET", "meta", headers={"User-Agent": ""}, data=b"").status_code == 403


@pytest.fixture(scope="module")
def private_key() -> rsa.RSAPrivateKey:
    """The key of an App."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture
def app(simulator: Simulator, private_key: rsa.RSAPrivateKey) -> Callable[..., str]:
    """A GitHub App, installed at acme; calling it makes a JWT."""
    public = private_key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    permissions = {"organization_self_hosted_runners": "write"}
    installation = {"id": 7, "account": "acme", "permissions": permissions}
    simulator.add_app(42, public.decode(), installation, client_id="Iv1.simulator")

    def make(issuer: str = "42", seconds: int = 300, **claims: Any) -> str:
        now = int(time.time())
        payload = {"iat": now - 30, "exp": now + seconds, "iss": issuer, **claims}
        return jwt.encode(payload, private_key, algorithm="RS256")

    return make


def test_an_app_gets_a_token_that_works(call: Call, app: Callable[..., str]) -> None:
    """Find the installation, mint a token, use it; it is long and has dots."""
    installation = call("GET", "orgs/acme/installation", token=app("Iv1.simulator")).json()
    path = f"app/installations/{installation['id']}/access_tokens"
    token = call("POST", path, token=app()).json()["token"]
    assert len(token) > 500
    assert "." in token
    path = "orgs/acme/actions/runners/registration-token"
    assert call("POST", path, token=token).status_code == 201
    path = "orgs/other/actions/runners/registration-token"
    assert call("POST", path, token=token).status_code == 404


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"issuer": "43"}, "iss"),
        ({"seconds": 3600}, "too far in the future"),
        ({"seconds": -10}, "exp"),
        ({"iat": int(time.time()) + 3600}, "iat"),
    ],
)
def test_a_wrong_jwt_is_refused(
    call: Call, app: Callable[..., str], options: dict[str, Any], message: str
) -> None:
    """GitHub's words say which claim is wrong."""
    answer = call("POST", "app/installations/7/access_tokens", token=app(**options))
    assert answer.status_code == 401
    assert message in answer.json()["message"]


def test_an_app_that_is_not_installed_finds_nothing(call: Call, app: Callable[..., str]) -> None:
    """No installation, no token; and a token must not ask for more than was granted."""
    assert call("GET", "repos/other/shop/installation", token=app()).status_code == 404
    assert call("POST", "app/installations/8/access_tokens", token=app()).status_code == 404
    wanted = {"permissions": {"administration": "write"}}
    path = "app/installations/7/access_tokens"
    assert call("POST", path, token=app(), json=wanted).status_code == 422


def test_an_expired_installation_token_is_bad(
    simulator: Simulator, call: Call, app: Callable[..., str]
) -> None:
    """The control API lets it expire at once."""
    token = call("POST", "app/installations/7/access_tokens", token=app()).json()["token"]
    simulator.expire_tokens("installation")
    assert call("GET", "orgs/acme/actions/runners", token=token).status_code == 401


def test_a_fault_hits_the_next_requests_and_is_over(simulator: Simulator, call: Call) -> None:
    """It hits as many requests as it was told to, of the method and path that it names."""
    simulator.fault(method="POST", path="/registration-token$", status=503, times=2)
    path = "repos/acme/shop/actions/runners"
    assert call("GET", path).status_code == 200
    statuses = [call("POST", path + "/registration-token").status_code for _ in range(3)]
    assert statuses == [503, 503, 201]


@pytest.mark.parametrize("refusal", ["rate-limit", "secondary-rate-limit", "single-sign-on"])
def test_a_fault_can_be_one_of_githubs_refusals(
    simulator: Simulator, call: Call, refusal: str
) -> None:
    """A refusal is called by its name and comes with GitHub's headers."""
    simulator.fault(path="/actions/runners", refusal=refusal)
    answer = call("GET", "repos/acme/shop/actions/runners")
    assert answer.status_code == 403
    assert {"x-ratelimit-reset", "retry-after", "x-github-sso"} & set(answer.headers)


def test_a_lost_answer_leaves_its_effect(simulator: Simulator, call: Call) -> None:
    """The request is carried out, then the connection is reset."""
    simulator.fault(path="/generate-jitconfig$", after=True, reset=True)
    with pytest.raises(requests.ConnectionError):
        add_runners(call, "lost")
    assert [runner["name"] for runner in simulator.runners()] == ["lost"]


def test_a_request_that_its_client_gave_up_is_carried_out(simulator: Simulator) -> None:
    """A slow request has its effect though nobody waits for the answer any more."""
    simulator.fault(path="/generate-jitconfig$", delay=0.4)
    path = f"{simulator.url}/repos/acme/shop/actions/runners/generate-jitconfig"
    with pytest.raises(requests.Timeout):
        requests.post(path, json=JIT, headers={"Authorization": f"Bearer {PAT}"}, timeout=0.1)
    assert simulator.wait_for("runner_registered", runner="r")


def test_a_request_that_hangs_never_answers(simulator: Simulator) -> None:
    """It is seen, and it has no effect."""
    simulator.fault(path="/remove-token$", hang=True)
    path = f"{simulator.url}/repos/acme/shop/actions/runners/remove-token"
    with pytest.raises(requests.Timeout):
        requests.post(path, headers={"Authorization": f"Bearer {PAT}"}, timeout=0.1)
    assert simulator.requests()[-1]["status"] is None


def test_the_log_of_requests_keeps_no_secret(simulator: Simulator, call: Call) -> None:
    """It names headers, and of a token nothing but its scheme."""
    call("GET", "repos/acme/shop/actions/runners", params={"name": "x"})
    (entry,) = simulator.requests()
    assert (entry["method"], entry["status"], entry["query"]) == ("GET", 200, "name=x")
    assert "Authorization" in entry["headers"]
    assert entry["scheme"] == "bearer"
    assert PAT not in str(entry)


def test_an_event_is_awaited_not_polled_for(simulator: Simulator) -> None:
    """Whoever waits is woken by the event; who waits for nothing is told after the timeout."""
    timer = threading.Timer(0.05, simulator.queue_job, kwargs={"name": "later"})
    timer.start()
    assert simulator.wait_for("job_queued", job="later")["id"] > 0
    timer.join()
    with pytest.raises(TimeoutError):
        simulator.wait_for("job_completed", timeout=0.05)


def test_the_server_speaks_tls_as_well(tmp_path: Path, private_key: rsa.RSAPrivateKey) -> None:
    """With a certificate it listens on a second port."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, private_key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(private_key, hashes.SHA256())
    )
    pem = tmp_path / "both.pem"
    pem.write_bytes(
        certificate.public_bytes(serialization.Encoding.PEM)
        + private_key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.NoEncryption(),
        )
    )
    with Simulator("--certificate", str(pem)) as simulator:
        url = f"https://localhost:{simulator.tls_port}/meta"
        assert requests.get(url, verify=str(pem), timeout=5).status_code == 200


def test_the_server_tells_a_file_when_it_is_ready(tmp_path: Path) -> None:
    """The file appears complete, and the server ends at SIGTERM."""
    ready = tmp_path / "ready"
    command = [sys.executable, "-m", "simulator", "serve", "--ready-file", str(ready)]
    with subprocess.Popen(command) as process:
        assert until(ready.exists)
        url = json.loads(ready.read_text())["url"]
        assert requests.get(f"{url}/meta", timeout=5).status_code == 200
        process.terminate()
    assert process.returncode == 0


def test_the_control_api_refuses_what_it_does_not_know(simulator: Simulator) -> None:
    """A misspelt field is no silent success."""
    with pytest.raises(RuntimeError, match="nonsense"):
        simulator.fault(nonsense=1)
    with pytest.raises(RuntimeError, match="refusal is one of"):
        simulator.fault(refusal="nonsense")
