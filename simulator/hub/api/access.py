"""Whether a request may do what it asks for."""

import base64
import binascii

from aiohttp import web

from simulator.hub.credentials import Credential
from simulator.hub.refusals import Refusal, bad_credentials, not_found
from simulator.hub.state import STATE, scope_of, world_of

CREDENTIAL = "credential"
REMOTE_AUTH = "remoteauth"


def authorization(request: web.Request) -> tuple[str, str]:
    """The scheme, in lower case, and the value of the Authorization header."""
    scheme, _, value = request.headers.get("Authorization", "").partition(" ")
    return scheme.lower(), value.strip()


def credential_of(request: web.Request) -> Credential:
    """The credential of a REST request, one request poorer; Refusal if it is not good."""
    credential = free_credential_of(request)
    credential.spend()
    return credential


def free_credential_of(request: web.Request) -> Credential:
    """The same for a request that costs nothing."""
    credential = request.app[STATE].vault.credential(_token(request))
    request[CREDENTIAL] = credential
    return credential


def require(request: web.Request, *, write: bool) -> None:
    """Refusal unless the request may administer the runners of its scope."""
    credential_of(request).check(scope_of(request), write)


def require_token(request: web.Request, kind: str) -> None:
    """Refusal 404 unless the request shows a runner token that is good for `kind`.

    A registration token is good for a removal as well, but not the other way round.
    """
    scheme, token = authorization(request)
    kinds = ("registration", "remove") if kind == "remove" else ("registration",)
    good = world_of(request).token_is_good(token, scope_of(request), kinds)
    if scheme != REMOTE_AUTH or not good:
        raise not_found()


def require_token_or(request: web.Request, kind: str, *, write: bool) -> None:
    """Either a runner token of this kind, or credentials of the REST API."""
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
