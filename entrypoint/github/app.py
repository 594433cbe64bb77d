"""A GitHub App: its private key is exchanged for a token of its installation, valid for an hour."""

from __future__ import annotations

import time

import jwt

from entrypoint.errors import ExitCode, Failure
from entrypoint.github import client
from entrypoint.github.client import Client
from entrypoint.settings import parsers
from entrypoint.settings.credential import Kind
from entrypoint.settings.schema import Settings

SETTING = "GITHUB_APP_PRIVATE_KEY"
_LIFETIME = 540  # seconds; GitHub accepts ten minutes at most, by its own clock
_SKEW = 60  # seconds by which our clock may be ahead of GitHub's


def connect(settings: Settings, key: str, deadline: float) -> Client:
    """Return a Client with a new token of the App's installation in the settings' scope."""
    as_app = client.open_client(
        settings,
        deadline,
        kind=Kind.APP,
        credential_variable=SETTING,
        token=web_token(settings.app_id, key),
    )
    number = settings.app_installation_id or installation(as_app)
    path = f"/app/installations/{number}/access_tokens"
    token = client.request(as_app, "POST", path).text("token")
    return client.open_client(
        settings, deadline, kind=Kind.APP, credential_variable=SETTING, token=token, fresh=True
    )


def installation(as_app: Client) -> int:
    """Return the id of the App's installation in the client's scope."""
    number: int = client.request(as_app, "GET", f"{as_app.target.path}/installation")["id"]
    return number


def web_token(app_id: str, key: str) -> str:
    """Return the JWT by which an App identifies itself; for `key` see parsers.private_key."""
    now = int(time.time())
    claims = {"iss": app_id, "iat": now - _SKEW, "exp": now + _LIFETIME}
    try:
        return jwt.encode(claims, parsers.private_key(key), algorithm="RS256")
    except (ValueError, TypeError, jwt.PyJWTError) as error:
        raise Failure(
            ExitCode.CONFIG,
            f"{SETTING}: is no RSA private key ({type(error).__name__})",
            "make a new private key in the App's settings, and give the whole .pem file",
        ) from None
