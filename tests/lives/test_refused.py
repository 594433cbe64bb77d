"""Every refusal of GitHub: the exit code, the message, and no runner registered."""

from pathlib import Path
from typing import Any

import pytest

from entrypoint.github.refusals import REFUSALS
from tests.support import pki, wire
from tests.support.life import Life
from tests.unit.github.test_app import PEM as KEY
from tests.unit.settings.test_parsers import PEM

REGISTRATION = "/registration-token$"
JIT = {"RUNNER_REGISTRATION": "jit"}
APP = {"GITHUB_PERSONAL_TOKEN": "", "GITHUB_APP_ID": "7"}
SHORT = {75: "2"}  # seconds, by exit code: for refusals after which requests are repeated

# By row of the table: what goes wrong, the settings, exit code, and a part of the message.
Row = tuple[dict[str, Any], dict[str, str], int, str]
ANSWERED: dict[str, Row] = {
    "time-out": ({"hang": True}, {}, 75, "no answer in time"),
    "no connection": ({"reset": True}, {}, 75, "Connection reset"),
    "primary rate limit": ({"refusal": "rate-limit"}, {}, 75, "start again after the reset (20"),
    "secondary rate limit": (
        {"refusal": "secondary-rate-limit"},
        {},
        75,
        "'You have exceeded a secondary rate limit.",
    ),
    "unlike GitHub": (
        {"status": 200, "body": "<html>Log in</html>"},
        {},
        78,
        "something else than GitHub's API",
    ),
    "redirect": (
        {"status": 302, "headers": {"Location": "https://login.example.com/"}},
        {},
        78,
        "never sent to another host",
    ),
    "bad credentials": ({"refusal": "bad-credentials"}, {}, 77, "401 'Bad credentials'"),
    "single sign-on": (
        {"refusal": "single-sign-on"},
        {},
        77,
        "authorize the token for the organization at https://github.com/orgs/acme/sso?",
    ),
    "permissions": ({"refusal": "not-accessible"}, {}, 77, "asks for administration=write"),
    "scopes": ({"refusal": "scope-missing"}, {}, 77, "the token has repo:status; give it"),
    "no admin": ({"refusal": "not-admin"}, {}, 77, "must be an admin of the repository"),
    "IP allow list": (
        {"status": 403, "body": {"message": "acme has an IP allow list enabled"}},
        {},
        77,
        "to the allow list",
    ),
    "suspended": (
        {"status": 403, "body": {"message": "This installation has been suspended"}},
        {},
        77,
        "lift the suspension",
    ),
    "forbidden": ({"status": 403, "body": {"message": "No"}}, {}, 77, "403 'No'"),
    "no JIT": ({"path": "/generate-jitconfig$", "status": 404}, JIT, 77, "3.10 has no JIT"),
    "not found": ({"refusal": "not-found"}, {}, 77, "404 'Not Found'"),
    "conflict": ({"path": "/generate-jitconfig$", "status": 409}, JIT, 75, "makes a new suffix"),
    "gone": ({"status": 410, "body": {"message": "Gone"}}, {}, 77, "410 'Gone'"),
    "invalid": (
        {
            "path": "/generate-jitconfig$",
            "status": 422,
            "body": {"message": "Validation Failed", "errors": [{"message": "bad label"}]},
        },
        JIT,
        78,
        "422 'Validation Failed: bad label'",
    ),
    "GitHub failed": ({"refusal": "server-error"}, {}, 75, "502 'Server Error'"),
    "unexpected": ({"status": 418}, {}, 77, "please report this"),
}

UNREACHED: dict[str, tuple[dict[str, str], int, str]] = {
    "name resolution": ({"GITHUB_API_URL": "https://no.invalid"}, 75, "check the container's DNS"),
    "proxy's address": ({"GITHUB_API_URL": "https://.invalid"}, 78, "SOCKS is not supported"),
    "proxy": ({"HTTP_PROXY": "http://127.0.0.1:1"}, 75, "ask the proxy's operator"),
}


def refused(life: Life, code: int, words: str, **settings: str) -> str:
    """Start a life, and check how it ended, and that GitHub lists no runner."""
    life.start(**{"GITHUB_TIMEOUT": SHORT.get(code, ""), **settings})
    assert life.wait() == code, life.output
    message = life.error()
    assert words in message
    assert life.simulator.runners() == []
    return message


@pytest.mark.parametrize("row", ANSWERED)
def test_answered(row: str, life: Life) -> None:
    """The message has GitHub's answer, the request and the remedy; the exit code is documented."""
    fault, settings, code, words = ANSWERED[row]
    life.simulator.fault(**{"path": REGISTRATION, "times": 0, **fault})
    message = refused(life, code, words, **settings)
    path = "generate-jitconfig" if settings else "registration-token"
    assert f"POST /repos/acme/shop/actions/runners/{path} at {life.simulator.url}" in message
    assert next(r for r in REFUSALS if r.name == row).code == code


@pytest.mark.parametrize("row", UNREACHED)
def test_unreached(row: str, life: Life) -> None:
    """If GitHub cannot be reached, the message names the likely cause."""
    settings, code, words = UNREACHED[row]
    refused(life, code, words, **settings)
    assert next(r for r in REFUSALS if r.name == row).code == code


@pytest.fixture
def authority(tmp_path: Path) -> pki.Authority:
    """Make a private authority that the system does not trust."""
    return pki.authority(tmp_path)


@pytest.mark.parametrize(
    ("certificate", "trusted", "words"),
    [
        ({}, False, "the PEM file of the certificate authority in RUNNER_CA_FILE"),
        ({"days": (-30, -10)}, True, "compare the clock"),
        ({"days": (10, 30)}, True, "compare the clock"),
        ({"host": "other.example.com"}, True, "GITHUB_HOST"),
    ],
    ids=["certificate", "clock", "clock-behind", "certificate's name"],
)
def test_certificates(
    certificate: dict[str, Any], trusted: bool, words: str, life: Life, authority: pki.Authority
) -> None:
    """A doubtful certificate ends the life at once, with the remedy that helps."""
    settings = {"RUNNER_CA_FILE": str(authority.path)} if trusted else {}
    with wire.server(wire.tls(authority.certify(**certificate))) as port:
        refused(life, 78, words, GITHUB_API_URL=f"https://127.0.0.1:{port}", **settings)


def test_proxy_wants_a_password(life: Life) -> None:
    """If a proxy wants a password, the message says how to give it."""
    answer = "HTTP/1.1 407 Proxy Authentication Required\nContent-Length: 0\n\n"
    with wire.server(wire.says(answer)) as port:
        proxy = f"http://127.0.0.1:{port}"
        refused(life, 78, "USER:PASSWORD", GITHUB_API_URL="https://x.invalid", HTTPS_PROXY=proxy)
        refused(life, 78, "USER:PASSWORD", HTTP_PROXY=proxy)


@pytest.mark.parametrize(
    ("given", "words"),
    [({}, "must belong to the same App"), ({"GITHUB_APP_INSTALLATION_ID": "1"}, "the same App")],
)
def test_unknown_app(given: dict[str, str], words: str, life: Life) -> None:
    """If GitHub does not know the key of the App, the message says so."""
    refused(life, 77, words, **APP, GITHUB_APP_PRIVATE_KEY=KEY, **given)


def test_app_not_installed(life: Life) -> None:
    """If the App is not installed for the scope, the message says so."""
    life.simulator.fault(path="/installation$", refusal="not-found")
    refused(life, 77, "install the App for the repository", **APP, GITHUB_APP_PRIVATE_KEY=KEY)


def test_app_key_is_no_key(life: Life) -> None:
    """A key that is none is refused before any request."""
    refused(life, 78, "GITHUB_APP_PRIVATE_KEY", **APP, GITHUB_APP_PRIVATE_KEY=PEM)
    assert life.simulator.requests() == []


def test_registration_token_is_not_accepted(life: Life) -> None:
    """`check` reports that GitHub does not accept the registration token."""
    life.start("check", GITHUB_PERSONAL_TOKEN="", RUNNER_TOKEN="A" * 29)
    assert life.wait() == 77
    assert "a registration token is valid for one hour" in life.output


def test_every_row_is_proved() -> None:
    """Each row of the table has a test of the real program."""
    others = {
        "certificate",
        "clock",
        "certificate's name",
        "proxy log-in",
        "App's key",
        "not installed",
        "registration token",
    }
    assert {row.name for row in REFUSALS} == {*ANSWERED, *UNREACHED} | others


def test_unknown_group(life: Life) -> None:
    """An unknown runner group is a wrong setting, for JIT and config.sh alike."""
    for registration in ("jit", "config"):
        refused(
            life,
            78,
            "nowhere",
            GITHUB_REPOSITORY="",
            RUNNER_GROUP="nowhere",
            RUNNER_REGISTRATION=registration,
            GITHUB_TIMEOUT="5",
        )
