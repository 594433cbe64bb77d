"""What we ask of GitHub: tokens, the list of runners, a runner's removal.

Functions over an `Client`; each raises a Failure when GitHub refuses (see refusals.py), and tries
again within the Client's deadline where that can help.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from entrypoint import redaction
from entrypoint.github import client
from entrypoint.github.client import Client, Reply
from entrypoint.github.first_request import Known
from entrypoint.settings import credential
from entrypoint.settings.credential import Kind
from entrypoint.settings.schema import Settings

__all__ = [
    "Client",
    "Removal",
    "Runner",
    "connect",
    "delete",
    "find",
    "first_page",
    "get",
    "pages",
    "registration_token",
    "remove_token",
    "runner",
    "runners",
]
_PAGE = 100  # the most that GitHub puts on one page


class Removal(Enum):
    """How a removal ended."""

    DELETED = "deleted"
    GONE = "gone"
    BUSY = "busy"


@dataclass(frozen=True)
class Runner:
    """An entry of GitHub's list; `status` is online or offline."""

    id: int
    name: str
    status: str
    busy: bool
    labels: tuple[str, ...] = ()


def connect(settings: Settings, secrets: Mapping[str, str], deadline: float) -> Client:
    """Return a way to the settings' list of runners, for all calls until the deadline.

    `secrets` are by variable, and hold exactly one credential. Only for an App are there
    requests already now: its installation is looked for, and a token for it made.
    """
    setting, kind = credential.identify(secrets)
    if kind is Kind.APP:
        from entrypoint.github import app  # PyJWT costs 60 ms

        return app.connect(settings, secrets[setting], deadline)
    # config.sh itself uses this scheme for registration tokens.
    scheme = "RemoteAuth" if kind is Kind.REGISTRATION else "Bearer"
    return client.open_client(
        settings,
        deadline,
        kind=kind,
        credential_variable=setting,
        token=secrets[setting],
        scheme=scheme,
    )


def registration_token(api: Client, known: Known | None = None) -> str:
    """Return a token with which config.sh may register; it is valid for an hour.

    `known` is what GitHub has answered to that request already.
    """
    return _token(api, "registration-token", known)


def remove_token(api: Client) -> str:
    """Return a token with which config.sh may remove; GitHub accepts a registration token too."""
    return _token(api, "remove-token")


def _token(api: Client, which: str, known: Known | None = None) -> str:
    if api.kind is Kind.REGISTRATION:
        return api.token
    token = client.request(api, "POST", f"{_runners(api)}/{which}", known=known).text("token")
    redaction.hide(token)
    return token


def find(api: Client, name: str) -> Runner | None:
    """Return the runner of exactly that name, or None."""
    # Enterprise Servers before 3.11 do not know `name` and list all.
    return next((entry for entry in runners(api, name=name) if entry.name == name), None)


def runners(api: Client, **params: str) -> Iterator[Runner]:
    """Go through all pages of the list."""
    for entry in pages(api, _runners(api), "runners", params):
        yield runner(entry)


def pages(
    api: Client, path: str, key: str, params: Mapping[str, str] | None = None
) -> Iterator[dict[str, Any]]:
    """Go through the entries of a list that GitHub divides into pages."""
    page = 1
    while True:
        numbered = {**(params or {}), "per_page": str(_PAGE), "page": str(page)}
        entries = client.request(api, "GET", path, params=numbered)[key]
        yield from entries
        if len(entries) < _PAGE:
            return
        page += 1


def get(api: Client, runner_id: int) -> Runner | None:
    """Return a runner by its id, or None if GitHub's list has it no more."""
    if api.kind is Kind.REGISTRATION:  # whose bearer config.sh lets read nothing but the list
        return next((entry for entry in runners(api) if entry.id == runner_id), None)
    reply = client.request(api, "GET", f"{_runners(api)}/{runner_id}", also=(404,))
    if reply.status == 404:
        first_page(api)
        return None
    return runner(reply.body)


def delete(api: Client, runner_id: int) -> Removal:
    """Take a runner off the list, if it is not running a job."""
    reply = client.request(api, "DELETE", f"{_runners(api)}/{runner_id}", also=(404, 422))
    if reply.status == 404:
        first_page(api)
        return Removal.GONE
    return Removal.BUSY if reply.status == 422 else Removal.DELETED


def first_page(api: Client) -> Reply:
    """Return the beginning of the list of runners; a Failure if the credential may not see it.

    That tells a 404 for one runner, which is gone, from a 404 for all.
    """
    return client.request(api, "GET", _runners(api), params={"per_page": "1"})


def _runners(api: Client) -> str:
    return f"{api.target.path}/actions/runners"


def runner(entry: Mapping[str, Any]) -> Runner:
    """Return an entry of the list as GitHub writes it."""
    labels = tuple(label["name"] for label in entry.get("labels", ()))
    return Runner(entry["id"], entry["name"], entry["status"], entry["busy"], labels)
