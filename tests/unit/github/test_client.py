"""One request of the client: repeated if that can help, explained otherwise."""

import ssl

import pytest
import requests
import responses
import urllib3.exceptions

from entrypoint.errors import ExitCode, Failure
from entrypoint.github import runners
from tests.support import fakehub
from tests.support.fakehub import REPOSITORY, TOKEN, Clock

URL = f"{REPOSITORY}/actions/runners/remove-token"
DATE = {"Date": "Sun, 09 Sep 2001 01:46:40 GMT"}
RESET = {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "1000000010"}


def refused(clock: Clock) -> Failure:
    """Return the failure of a request for a remove-token."""
    with pytest.raises(Failure) as failure:
        runners.remove_token(fakehub.connect(clock=clock))
    return failure.value


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_server_errors_are_tried_again(status: int) -> None:
    """A failure of GitHub itself is tried again until GitHub answers."""
    clock = Clock()
    with fakehub.hub() as hub:
        hub.post(URL, body="<html>Unicorn!</html>", status=status)
        hub.post(URL, json={"message": "Server Error"}, status=status)
        hub.post(URL, json=TOKEN, status=201)
        assert runners.remove_token(fakehub.connect(clock=clock)) == TOKEN["token"]
    assert len(clock.slept) == 2


def test_tries_end_at_the_deadline() -> None:
    """GitHub is not asked after the deadline, however often it has failed."""
    clock = Clock()
    with fakehub.hub() as hub:
        hub.post(URL, json={"message": "Server Error"}, status=502)
        failure = refused(clock)
    assert sum(clock.slept) <= fakehub.TIMEOUT
    assert failure.code is ExitCode.RETRY
    assert f"tried {len(clock.slept) + 1} times" in failure.message


@pytest.mark.parametrize("status", [403, 429])
@pytest.mark.parametrize(
    ("headers", "least"), [({"Retry-After": "20"}, 20), ({**RESET, **DATE}, 10)]
)
def test_limits_are_waited_for(status: int, headers: dict[str, str], least: float) -> None:
    """A limit is waited for as long as GitHub says, if it ends before the deadline."""
    clock = Clock()
    with fakehub.hub() as hub:
        hub.post(URL, json={"message": "slow down"}, status=status, headers=headers)
        hub.post(URL, json=TOKEN, status=201)
        assert runners.remove_token(fakehub.connect(clock=clock)) == TOKEN["token"]
    assert len(clock.slept) == 1
    assert clock.slept[0] >= least


def test_a_limit_past_the_deadline_ends_at_once() -> None:
    """A limit that ends after the deadline is an error at once, with the limit's end."""
    clock = Clock()
    headers = {"Retry-After": "600", "X-GitHub-Request-Id": "AB12:34"}
    with fakehub.hub() as hub:
        words = {"message": "You have exceeded a secondary rate limit."}
        hub.post(URL, json=words, status=403, headers=headers)
        failure = refused(clock)
    assert clock.slept == []
    assert failure.code is ExitCode.RETRY
    assert "POST /repos/acme/shop/actions/runners/remove-token" in failure.message
    assert "'You have exceeded a secondary rate limit.'" in failure.message
    assert "x-github-request-id AB12:34" in failure.message
    assert "60 s are left" in failure.message
    assert "GITHUB_TIMEOUT" in failure.hint


@pytest.mark.parametrize("status", [401, 403, 404, 410, 422])
def test_refusals_are_final(status: int) -> None:
    """A refusal that only an operator can cure is asked for once."""
    clock = Clock()
    with fakehub.hub() as hub:
        hub.post(URL, json={"message": "No"}, status=status)
        failure = refused(clock)
        assert len(hub.calls) == 1
    assert failure.code in {ExitCode.REFUSED, ExitCode.CONFIG}
    assert f"{status} 'No'" in failure.message


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_redirects_keep_the_method_and_the_server(status: int) -> None:
    """The redirect of a renamed repository is followed with method and credential."""
    moved = "https://api.github.com/repositories/42/actions/runners/remove-token"
    with responses.RequestsMock() as hub:
        hub.post(URL, status=status, headers={"Location": moved})
        hub.post(moved, json=TOKEN, status=201)
        assert runners.remove_token(fakehub.connect()) == TOKEN["token"]
        assert hub.calls[1].request.headers["Authorization"] == f"Bearer {fakehub.CLASSIC}"


@pytest.mark.parametrize("location", ["https://login.example.com/", URL])
def test_redirects_elsewhere_are_refused(location: str) -> None:
    """No other server gets the credential, and a circle of redirects ends."""
    with responses.RequestsMock() as hub:
        hub.post(URL, status=302, headers={"Location": location})
        failure = refused(Clock())
        assert {call.request.url for call in hub.calls} == {URL}
    assert failure.code is ExitCode.CONFIG


def test_a_proxys_page_is_not_taken_for_github() -> None:
    """The error about a log-in page in place of JSON says so, whatever its status is."""
    with responses.RequestsMock() as hub:
        hub.post(URL, body="<html>Please log in</html>", status=200)
        failure = refused(Clock())
    assert failure.code is ExitCode.CONFIG
    assert "something else than GitHub's API answers" in failure.hint


def resolution() -> requests.ConnectionError:
    """Return what requests raises for a name that DNS does not know."""
    inner = urllib3.exceptions.NameResolutionError(
        "api.github.com",
        urllib3.HTTPSConnectionPool("api.github.com"),  # type: ignore[arg-type]
        OSError(-2, "Name or service not known"),  # type: ignore[arg-type]
    )
    return requests.ConnectionError(
        urllib3.exceptions.MaxRetryError(None, "/", inner)  # type: ignore[arg-type]
    )


def certificate(words: str) -> requests.exceptions.SSLError:
    """Return what requests raises for a certificate that it does not trust."""
    return requests.exceptions.SSLError(
        ssl.SSLCertVerificationError(f"[SSL: CERTIFICATE_VERIFY_FAILED] {words}")
    )


TROUBLES = {
    "dns": (resolution(), 75, "DNS"),
    "connect": (requests.ConnectionError("Connection refused"), 75, "firewall"),
    "lost": (requests.exceptions.ChunkedEncodingError("broken"), 75, "firewall"),
    "tls broken": (requests.exceptions.SSLError("UNEXPECTED_EOF"), 75, "firewall"),
    "timeout": (requests.exceptions.ReadTimeout("timed out"), 75, "githubstatus"),
    "untrusted": (certificate("unable to get local issuer certificate"), 78, "RUNNER_CA_FILE"),
    "expired": (certificate("certificate has expired"), 78, "clock"),
    "early": (certificate("certificate is not yet valid"), 78, "clock"),
    "host": (certificate("Hostname mismatch, certificate is not valid for 'x'"), 78, "GITHUB_HOST"),
    "bundle": (OSError("Could not find a suitable TLS CA certificate bundle"), 78, "CA_FILE"),
    "proxy": (requests.exceptions.ProxyError("Cannot connect to proxy"), 75, "HTTPS_PROXY"),
    "407": (requests.exceptions.ProxyError("Tunnel failed: 407 Auth"), 78, "USER:PASSWORD"),
    "socks": (requests.exceptions.InvalidSchema("Missing dependencies for SOCKS"), 78, "SOCKS"),
}


@pytest.mark.parametrize(("error", "code", "hint"), TROUBLES.values(), ids=TROUBLES)
def test_troubles_on_the_way(error: Exception, code: int, hint: str) -> None:
    """Each failure before an answer has its exit code and remedy; some are tried again."""
    clock = Clock()
    with responses.RequestsMock() as hub:
        hub.post(URL, body=error)
        failure = refused(clock)
    assert failure.code == code
    assert hint in failure.hint
    assert bool(clock.slept) == (code == ExitCode.RETRY)


def test_a_lost_connection_is_tried_again() -> None:
    """A request for a token is repeated: a token that is not used does no harm."""
    clock = Clock()
    with fakehub.hub() as hub:
        hub.post(URL, body=requests.ConnectionError("reset"))
        hub.post(URL, json=TOKEN, status=201)
        assert runners.remove_token(fakehub.connect(clock=clock)) == TOKEN["token"]
