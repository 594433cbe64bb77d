"""The requests to GitHub: tokens, the list of runners, and a runner's removal.

Each function takes a `Client`. It raises a Failure if GitHub refuses (see refusals.py), and tries
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
    """Return a Client for the settings' list of runners.

    All its calls together must end by `deadline`, a moment of time.monotonic().

    `secrets` are by variable, and contain exactly one credential. Only an App causes requests here:
    they find its installation and make a token for it.
    """
    setting, kind = credential.identify(secrets)
    if kind is Kind.APP:
        from entrypoint.github import app  # loads PyJWT, which takes 60 ms

        return app.connect(settings, secrets[setting], deadline)
    # RemoteAuth is the scheme that config.sh uses for a registration token.
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
    """Return a token by which config.sh can register; it is valid for an hour.

    `known` is GitHub's answer to this request, if it was made before.
    """
    return _token(api, "registration-token", known)


def remove_token(api: Client) -> str:
    """Return a token for `config.sh remove`; if a registration token was given, that one."""
    return _token(api, "remove-token")


def _token(api: Client, which: str, known: Known | None = None) -> str:
    if api.kind is Kind.REGISTRATION:
        return api.token
    token = client.request(api, "POST", f"{_runners(api)}/{which}", known=known).text("token")
    redaction.hide(token)
    return token


def find(api: Client, name: str) -> Runner | None:
    """Return the runner of exactly that name, or None."""
    # An Enterprise Server before 3.11 ignores the parameter `name`, and lists all runners.
    return next((entry for entry in runners(api, name=name) if entry.name == name), None)


def runners(api: Client, **params: str) -> Iterator[Runner]:
    """Yield the runners of all pages of the list."""
    for entry in pages(api, _runners(api), "runners", params):
        yield runner(entry)


def pages(
    api: Client, path: str, key: str, params: Mapping[str, str] | None = None
) -> Iterator[dict[str, Any]]:
    """Yield the entries of a list that GitHub divides into pages."""
    page = 1
    while True:
        numbered = {**(params or {}), "per_page": str(_PAGE), "page": str(page)}
        entries = client.request(api, "GET", path, params=numbered)[key]
        yield from entries
        if len(entries) < _PAGE:
            return
        page += 1


def get(api: Client, runner_id: int) -> Runner | None:
    """Return a runner by its id, or None if GitHub no longer lists it."""
    if api.kind is Kind.REGISTRATION:  # a registration token may read only the whole list
        return next((entry for entry in runners(api) if entry.id == runner_id), None)
    reply = client.request(api, "GET", f"{_runners(api)}/{runner_id}", also=(404,))
    if reply.status == 404:
        first_page(api)
        return None
    return runner(reply.body)


def delete(api: Client, runner_id: int) -> Removal:
    """Remove a runner from the list; GitHub refuses that while the runner has a job (BUSY)."""
    reply = client.request(api, "DELETE", f"{_runners(api)}/{runner_id}", also=(404, 422))
    if reply.status == 404:
        first_page(api)
        return Removal.GONE
    return Removal.BUSY if reply.status == 422 else Removal.DELETED


def first_page(api: Client) -> Reply:
    """Return the first entry of the list. Raises a Failure if the credential may not read the list.

    GitHub answers 404 for a runner that is gone, and also for one that a credential may not see.
    This request tells the two cases apart.
    """
    return client.request(api, "GET", _runners(api), params={"per_page": "1"})


def _runners(api: Client) -> str:
    return f"{api.target.path}/actions/runners"


def runner(entry: Mapping[str, Any]) -> Runner:
    """Return a Runner from an entry of GitHub's list."""
    labels = tuple(label["name"] for label in entry.get("labels", ()))
    return Runner(entry["id"], entry["name"], entry["status"], entry["busy"], labels)
