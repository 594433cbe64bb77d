"""GitHub Apps: signed requests, installations, tokens."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from simulator import Simulator
from tests.simulator.api import Call


@pytest.fixture
def app(simulator: Simulator, private_key: rsa.RSAPrivateKey) -> Callable[..., str]:
    """A GitHub App, installed at acme; a call makes a JWT."""
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
    """The App finds its installation, makes a token and uses it; the token has dots."""
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
    """There is no token without installation, and none beyond its permissions."""
    assert call("GET", "repos/other/shop/installation", token=app()).status_code == 404
    assert call("POST", "app/installations/8/access_tokens", token=app()).status_code == 404
    wanted = {"permissions": {"administration": "write"}}
    path = "app/installations/7/access_tokens"
    assert call("POST", path, token=app(), json=wanted).status_code == 422


def test_an_expired_installation_token_is_bad(
    simulator: Simulator, call: Call, app: Callable[..., str]
) -> None:
    """The control API can expire the token at once."""
    token = call("POST", "app/installations/7/access_tokens", token=app()).json()["token"]
    simulator.expire_tokens("installation")
    assert call("GET", "orgs/acme/actions/runners", token=token).status_code == 401
