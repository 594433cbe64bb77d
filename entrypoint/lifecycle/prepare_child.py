"""A child of PID 1: it reads and checks the settings, and hides the secrets.

A child does this so that PID 1 never sees a secret. Files are deleted only after all settings have
been found right, so that a mistake in the settings loses no file.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from typing import Any

from entrypoint import redaction
from entrypoint.container import account
from entrypoint.container.account import Account
from entrypoint.errors import ExitCode, Failure
from entrypoint.lifecycle import engine, exposure, stop_file
from entrypoint.runner import checks, home, hook
from entrypoint.settings import credential, rules, sources
from entrypoint.settings.given import Given
from entrypoint.settings.runner_names import unique
from entrypoint.settings.schema import Settings
from entrypoint.settings.secret_files import ENVFILE, SecretFile
from entrypoint.vault import BORROWED, STOP_SECRET, Vault


def load(given: Given, vault: Vault) -> dict[str, Any]:
    """Put the secrets into the vault; return the settings, and notes on what was corrected.

    Raises a Failure that lists every problem. All files are kept in that case.
    """
    files: dict[str, SecretFile] = {}
    values = sources.read(given, files)
    settings, secrets, notes, others = values[:4]
    origins = [*values.origins.values()]
    user = account.lookup(settings.user)
    problems = wrong_with(settings, user, {**given.settings, **others})
    if problems or user is None:
        raise rules.wrong(problems)
    home.claim(settings.home)
    require_free_disk(settings, {**given.settings, **others})
    notes += exposure.protect(files, settings, user)
    notes += doubts(settings, user, {**given.settings, **others})
    notes += exposed(settings, given.secrets, origins)
    stop_secret = secrets.pop(STOP_SECRET, "")
    vault.fill(secrets)
    earlier = home.record(settings.home)
    if stale := home.clear(settings.home, settings.workdir_path):
        notes.append(f"cleared what an earlier start has left: {' '.join(stale)}")
    return {
        "settings": settings._asdict(),
        "name": settings.name if settings.registration == "given" else unique(settings.name),
        "recognised": redaction.redact(values.recognised),
        "notes": redaction.redact_all(notes),
        "environment": others,
        "stop_digest": stop_file.digest(stop_secret) if stop_secret else "",
        "earlier": earlier._asdict() if earlier and earlier.id and earlier.name else None,
    }


def wrong_with(settings: Settings, user: Account | None, environ: Mapping[str, str]) -> list[str]:
    """Return each reason why no runner can be started in this container, or by this environment."""
    return [
        *checks.problems(settings, user),
        *checks.environment_problems(environ, settings, user),
        *hook.problems(settings),
    ]


def doubts(settings: Settings, user: Account, environ: Mapping[str, str]) -> list[str]:
    """Return warnings about this container, in which a runner starts all the same."""
    found = checks.warnings(settings, user, environ)
    if any("/Worker_" in path for path in home.diagnostics(settings.home)):
        found.append(
            "this container has had a job before, which may have changed whatever is in it; take a"
            " new container for each job (docker run --rm, no --restart)"
        )
    if problem := engine.container_jobs_problem():
        found.append(problem)
    return found + exposure.weaknesses(settings, user)


def exposed(settings: Settings, secrets: Mapping[str, str], origins: Collection[str]) -> list[str]:
    """Return a warning if the credential is in the container's environment in spite of until-job.

    `secrets` are those of the environment. Another project's variable counts if it is in `origins`.
    """
    names = (*credential.VARIABLES, *(name for name in BORROWED if name in origins))
    given = [variable for variable in names if secrets.get(variable)]
    if settings.credential != "until-job" or not given:
        return []
    warning = (
        f"RUNNER_CREDENTIAL: until-job drops {given[0]}, but `docker inspect` and whatever else"
        f" shows the container's environment go on showing it; better is an env file ({ENVFILE})"
        f" or a file of its own ({given[0]}_FILE)"
    )
    return [warning]


def require_free_disk(settings: Settings, environ: Mapping[str, str]) -> None:
    """Raise a Failure (75, try again later) if too little disk space is free.

    The work folder needs it, and so does the data root of an engine that is started here. A folder
    that is still to be made will be where its parent is.
    """
    for path in filter(None, (settings.workdir_path, engine.data_root(settings, environ))):
        place = os.path.join("/", path)
        while not os.path.isdir(place):
            place = os.path.dirname(place)
        found = os.statvfs(place)
        free = found.f_bavail * found.f_frsize
        if free < settings.min_free_disk:
            raise Failure(
                ExitCode.RETRY,
                f"{path} has {free / 2**20:.0f} MiB free, and RUNNER_MIN_FREE_DISK asks for"
                f" {settings.min_free_disk / 2**20:.0f} MiB",
                "free space there (docker system prune), or give it a larger volume",
            )
