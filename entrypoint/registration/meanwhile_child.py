"""What is asked of GitHub beside a registration, in a process of its own: it must not delay it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from entrypoint import log
from entrypoint.errors import Failure
from entrypoint.github import deprecation, runners
from entrypoint.github.runners import Client
from entrypoint.registration.register import Marks


def remove_earlier(api: Client, earlier: Mapping[str, Any]) -> None:
    """Remove the runner that this container was before it was killed, if nobody is it any more."""
    try:
        found = runners.get(api, earlier["id"])
        if found is not None and found.name == earlier["name"] and not found.busy:
            runners.delete(api, found.id)
            log.info("removed the runner of an earlier start", name=found.name, id=found.id)
    except Failure as failure:
        log.debug("the runner of an earlier start may still be listed", why=failure.message)


def advise(api: Client, version: str, marks: Marks) -> None:
    """Ask for how long GitHub accepts this version."""
    try:
        if said := deprecation.warning(api, version):
            log.warning(said)
    except Failure as failure:
        marks.give_up(failure)
