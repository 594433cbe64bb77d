"""A GitHub App, from its key to a token of its installation."""

import base64
import time
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from entrypoint import log
from entrypoint.errors import ExitCode, Failure
from entrypoint.github import app, runners
from entrypoint.github.client import Client
from tests.support import fakehub
from tests.support.fakehub import NOT_FOUND, PLACES, TOKEN, Clock

KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PEM = KEY.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()).decode()
FORMS = {
    "PEM": PEM,
    "without its last line break": PEM.strip(),
    "escaped": PEM.replace("\n", "\\n"),
    "CRLF": PEM.replace("\n", "\r\n"),
    "base64": base64.b64encode(PEM.encode()).decode(),
    "base64 in lines": base64.encodebytes(PEM.encode()).decode(),
}
APP = {"GITHUB_APP_ID": "Iv23liTest", "GITHUB_APP_PRIVATE_KEY": PEM}
TOKENS = "/app/installations/42/access_tokens"


def installation(number: int = 42) -> dict[str, Any]:
    """Return an installation as GitHub writes it."""
    return {
        "id": number,
        "account": {
            "id": 1,
            "node_id": "E_1",
            "name": "Acme",
            "slug": "acme",
            "html_url": "https://github.com/enterprises/acme",
            "created_at": "2024-01-01T00:00:00Z",
            "updated_at": "2024-01-01T00:00:00Z",
            "avatar_url": "https://github.com/acme.png",
        },
        "repository_selection": "all",
        "access_tokens_url": f"https://api.github.com{TOKENS}",
        "repositories_url": "https://api.github.com/installation/repositories",
        "html_url": "https://github.com/settings/installations/42",
        "app_id": 1,
        "target_id": 1,
        "target_type": "Organization",
        "permissions": {},
        "events": [],
        "created_at": "2024-01-01T00:00:00Z",
        "updated_at": "2024-01-01T00:00:00Z",
        "single_file_name": None,
        "app_slug": "runners",
        "suspended_at": None,
        "suspended_by": None,
    }


# Tokens are opaque; a token of an installation may be long and hold dots.
NEW_TOKEN = {"token": "ghs_" + "a.b" * 170, "expires_at": "2030-01-01T00:00:00Z"}


@pytest.mark.parametrize(("values", "base"), PLACES.values(), ids=PLACES)
def test_installation_is_found_by_itself(values: dict[str, str], base: str) -> None:
    """The App finds its installation for the scope, and gets a token of it."""
    root = fakehub.root(base)
    with fakehub.hub() as hub:
        hub.get(f"{base}/installation", json=installation())
        hub.post(root + TOKENS, json=NEW_TOKEN, status=201)
        hub.post(f"{base}/actions/runners/remove-token", json=TOKEN, status=201)
        assert runners.remove_token(fakehub.connect({**APP, **values})) == TOKEN["token"]
        sent = [call.request.headers["Authorization"] for call in hub.calls]
    assert sent[2] == f"Bearer {NEW_TOKEN['token']}"
    claims = jwt.decode(sent[0].removeprefix("Bearer "), KEY.public_key(), algorithms=["RS256"])
    assert claims["iss"] == "Iv23liTest"
    assert claims["iat"] <= time.time() - 59
    assert time.time() < claims["exp"] <= time.time() + 600


def test_installation_is_given() -> None:
    """If the installation is given, GitHub is not asked for it."""
    with fakehub.hub() as hub:
        hub.post("https://api.github.com" + TOKENS, json=NEW_TOKEN, status=201)
        fakehub.connect({**APP, "GITHUB_APP_INSTALLATION_ID": "42"})
        assert len(hub.calls) == 1


@pytest.mark.parametrize("key", FORMS.values(), ids=FORMS)
def test_key_comes_in_any_form(key: str) -> None:
    """The key may be PEM, PEM with escaped line breaks, or base64."""
    token = app.web_token("1", key)
    assert jwt.decode(token, KEY.public_key(), algorithms=["RS256"])["iss"] == "1"


def test_key_of_another_kind() -> None:
    """A key that is no RSA key is refused before any request."""
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    with pytest.raises(Failure, match="GITHUB_APP_PRIVATE_KEY: is no RSA private key") as failure:
        app.web_token("1", pem)
    assert failure.value.code is ExitCode.CONFIG


def test_a_broken_key_is_not_repeated() -> None:
    """The message about a broken key contains no part of it."""
    broken = PEM.replace(PEM[200:204], "????")
    with pytest.raises(Failure) as failure:
        app.web_token("1", broken)
    assert PEM[100:120] not in failure.value.message + failure.value.hint


@pytest.mark.parametrize(
    ("path", "hint"),
    [("/repos/acme/shop/installation", "install the App"), (TOKENS, "INSTALLATION_ID")],
)
def test_not_installed(path: str, hint: str) -> None:
    """If the App is not installed for the scope, the error says so."""
    given = {"GITHUB_APP_INSTALLATION_ID": "42"} if path == TOKENS else {}
    with fakehub.hub() as hub:
        hub.add(
            "POST" if given else "GET", f"https://api.github.com{path}", json=NOT_FOUND, status=404
        )
        with pytest.raises(Failure) as failure:
            fakehub.connect({**APP, **given})
    assert failure.value.code is ExitCode.REFUSED
    assert hint in failure.value.hint


def test_wrong_app() -> None:
    """If the key is another App's, the error says so after one request."""
    words = {"message": "A JSON web token could not be decoded"}
    with fakehub.hub() as hub:
        hub.get("https://api.github.com/repos/acme/shop/installation", json=words, status=401)
        with pytest.raises(Failure) as failure:
            fakehub.connect(APP)
        assert len(hub.calls) == 1
    assert failure.value.code is ExitCode.REFUSED
    assert "same App" in failure.value.hint


def fresh(clock: Clock) -> Client:
    """Return a Client whose App token was made just now."""
    with fakehub.hub() as hub:
        hub.post("https://api.github.com" + TOKENS, json=NEW_TOKEN, status=201)
        return fakehub.connect({**APP, "GITHUB_APP_INSTALLATION_ID": "42"}, clock)


def test_a_new_token_may_not_be_known_everywhere() -> None:
    """A 401 in the first seconds of an App's token is tried again."""
    clock = Clock()
    api = fresh(clock)
    with fakehub.hub() as hub:
        url = "https://api.github.com/repos/acme/shop/actions/runners/remove-token"
        hub.post(url, json={"message": "Bad credentials"}, status=401)
        hub.post(url, json=TOKEN, status=201)
        assert runners.remove_token(api) == TOKEN["token"]


def test_a_401_does_not_last() -> None:
    """After those seconds a 401 is final."""
    clock = Clock()
    api = fresh(clock)
    with fakehub.hub() as hub:
        url = "https://api.github.com/repos/acme/shop/actions/runners/remove-token"
        hub.post(url, json={"message": "Bad credentials"}, status=401)
        with pytest.raises(Failure) as failure:
            runners.remove_token(api)
    assert failure.value.code is ExitCode.REFUSED
    assert sum(clock.slept) < 10 + 20


def test_the_made_token_is_never_logged(capfd: pytest.CaptureFixture[str]) -> None:
    """A token that was made on the way is hidden in the log like one that was given."""
    fresh(Clock())
    log.warning("it.happened", f"said {NEW_TOKEN['token']}")
    assert capfd.readouterr().out.endswith("said ***\n")
