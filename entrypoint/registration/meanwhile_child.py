"""Requests to GitHub beside the registration, by a child that the registration does not await."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from entrypoint import log
from entrypoint.errors import Failure
from entrypoint.github import deprecation, runners
from entrypoint.github.client import Client
from entrypoint.registration.record import Progress
from entrypoint.settings.schema import Settings
from entrypoint.vault import Vault


def ask(
    values: Mapping[str, Any],
    vault: Vault,
    earlier: Mapping[str, Any] | None,
    progress: Progress,
) -> None:
    """Remove the runner of an earlier start, and ask how long GitHub accepts this version.

    `values` are those of all settings. A refusal is only logged at debug level: the registration
    gets the same refusal and reports it.
    """
    settings = Settings(**values)
    try:
        api = runners.connect(settings, vault.read(), time.monotonic() + settings.github_timeout)
    except Failure as failure:
        log.debug(
            "github.unasked",
            "GitHub could not be asked beside the registration",
            why=failure.message,
        )
        return
    if earlier:
        _remove_earlier(api, earlier)
    if settings.version:
        _advise(api, settings.version, progress)


def _remove_earlier(api: Client, earlier: Mapping[str, Any]) -> None:
    """Remove the runner that this container registered before it was killed, unless it is busy."""
    try:
        found = runners.get(api, earlier["id"])
        if found is not None and found.name == earlier["name"] and not found.busy:
            runners.delete(api, found.id)
            log.info(
                "runner.earlier_removed",
                "removed the runner of an earlier start",
                name=found.name,
                id=found.id,
            )
    except Failure as failure:
        log.debug(
            "runner.earlier_kept",
            "the runner of an earlier start may still be listed",
            why=failure.message,
        )


def _advise(api: Client, version: str, progress: Progress) -> None:
    """Warn of the day when GitHub stops accepting this version; after that day, reject it."""
    try:
        if said := deprecation.warning(api, version):
            log.warning("runner.version_deprecated", said)
    except Failure as failure:
        progress.reject_version(failure)
