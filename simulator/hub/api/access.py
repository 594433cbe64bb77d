"""Decides whether a request may do what it asks for."""

import base64
import binascii

from aiohttp import web

from simulator.hub.credentials import Credential
from simulator.hub.refusals import Refusal, bad_credentials, not_found
from simulator.hub.state import STATE, scope_of, world_of

CREDENTIAL = "credential"
REMOTE_AUTH = "remoteauth"


def authorization(request: web.Request) -> tuple[str, str]:
    """Return the scheme, in lower case, and the value of the Authorization header."""
    scheme, _, value = request.headers.get("Authorization", "").partition(" ")
    return scheme.lower(), value.strip()


def credential_of(request: web.Request) -> Credential:
    """Return the credential of a REST request and count the request; Refusal if it is no good."""
    credential = free_credential_of(request)
    credential.spend()
    return credential


def free_credential_of(request: web.Request) -> Credential:
    """Return the credential of a request that does not count."""
    credential = request.app[STATE].vault.credential(_token(request))
    request[CREDENTIAL] = credential
    return credential


def require(request: web.Request, *, write: bool) -> None:
    """Raise a Refusal unless the request may administer the runners of its scope."""
    credential_of(request).check(scope_of(request), write)


def require_token(request: web.Request, kind: str) -> None:
    """Raise a Refusal (404) unless the request shows a runner token of this kind.

    A registration token also removes a runner; a remove token does not register one.
    """
    scheme, token = authorization(request)
    kinds = ("registration", "remove") if kind == "remove" else ("registration",)
    good = world_of(request).token_is_good(token, scope_of(request), kinds)
    if scheme != REMOTE_AUTH or not good:
        raise not_found()


def require_token_or(request: web.Request, kind: str, *, write: bool) -> None:
    """Raise a Refusal unless the request shows a runner token or a REST credential."""
    if authorization(request)[0] == REMOTE_AUTH:
        require_token(request, kind)
    else:
        require(request, write=write)


def _token(request: web.Request) -> str:
    scheme, value = authorization(request)
    if not scheme:
        raise Refusal(401, "Requires authentication")
    if scheme in ("bearer", "token"):
        return value
    if scheme == "basic":
        try:
            return base64.b64decode(value).decode().partition(":")[2]
        except (binascii.Error, UnicodeDecodeError):
            raise bad_credentials() from None
    raise bad_credentials()
