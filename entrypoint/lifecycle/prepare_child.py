"""A child of PID 1: it reads and checks the settings, and hides the secrets.

A child does this so that PID 1 never sees a secret. Files are deleted only after all settings have
been found right, so that a mistake in the settings loses no file.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from typing import Any

from entrypoint import log, redaction
from entrypoint.container import account
from entrypoint.container.account import Account
from entrypoint.errors import ExitCode, Failure
from entrypoint.lifecycle import engine_choice, exposure, stop_file
from entrypoint.lifecycle.engine import ADDRESS, WAIT, waiting_time
from entrypoint.lifecycle.engine_choice import Choice
from entrypoint.runner import checks, home, hook, program
from entrypoint.settings import credential, rules, sources
from entrypoint.settings.given import Given
from entrypoint.settings.plan import Plan
from entrypoint.settings.runner_names import unique
from entrypoint.settings.schema import Settings
from entrypoint.settings.secret_files import ENVFILE, SecretFile
from entrypoint.vault import BORROWED, STOP_SECRET, Vault


def load(environ: Mapping[str, str], secrets: Mapping[str, str], vault: Vault) -> dict[str, Any]:
    """Put the secrets into the vault, and log what was corrected.

    `environ` and `secrets` are what the container was started with. Returns the order to the child
    that registers: the values of the plan, what the settings add to the environment, and the record
    of the runner that an earlier start has left. Raises a Failure that lists every problem. All
    files are kept in that case.
    """
    given = Given(environ, secrets)
    files: dict[str, SecretFile] = {}
    values = sources.read(given, files)
    settings, notes = values.settings, values.notes
    log.configure(settings.log_level, settings.log_format)
    everything = {**given.settings, **values.others}
    user = _require_ready(settings, everything)
    home.claim(settings.home)
    engine = engine_choice.choose(settings, everything)
    require_free_disk(settings, engine.kind)
    planned = plan(settings, user, everything, engine)
    notes += exposure.protect(files, settings, user, everything, engine)
    notes += doubts(settings, user, everything, engine)
    notes += exposed(settings, given.secrets, [*values.origins.values()])
    if stop_secret := values.secrets.pop(STOP_SECRET, ""):
        planned["stop_digest"] = stop_file.digest(stop_secret)
    vault.fill(values.secrets)
    earlier = home.record(settings.home)
    if stale := home.clear(settings.home, settings.workdir_path):
        notes.append(f"cleared what an earlier start has left: {' '.join(stale)}")
    log.belongs_to(name=planned["name"])
    _tell(settings, values.recognised, notes)
    return {
        "plan": planned,
        "environment": values.others,
        # The listener may print a proxy's address with its password, and PID 1 its last words.
        "passwords": _passwords(everything),
        "earlier": vars(earlier) if earlier and earlier.id and earlier.name else None,
    }


def _passwords(environ: Mapping[str, str]) -> list[str]:
    """Return what PID 1 must look for to redact the passwords in the environment's addresses."""
    found = [one for value in environ.values() for one in redaction.passwords(value)]
    return redaction.parts(*found) if found else []


def _require_ready(settings: Settings, environ: Mapping[str, str]) -> Account:
    """Return the runner's user. Raises a Failure (78) that lists what this container lacks."""
    user = account.lookup(settings.user)
    problems = wrong_with(settings, user, environ)
    if problems or user is None:
        raise rules.wrong(problems)
    return user


def plan(
    settings: Settings, user: Account, environ: Mapping[str, str], engine: Choice
) -> dict[str, Any]:
    """Return the values of the plan; there is no stop file yet that would stop the runner.

    Raises a Failure (78) if a private authority cannot be written for the runner's programs.
    """
    values = settings._asdict()
    environment = program.base_environment(environ, settings)
    return {
        **{name: values[name] for name in Plan.__annotations__ if name in values},
        "settings": values,
        "name": settings.name if settings.registration == "given" else unique(settings.name),
        "target": str(settings.target),
        "target_path": settings.target.path,
        "workdir_path": settings.workdir_path,
        "uid": user.uid,
        "gid": user.gid,
        "as_runner": program.as_user(settings, user, []),
        "runner_environment": program.environment(environment, user),
        "engine_environment": environment,
        "engine_kind": engine.kind,
        "engine_why": engine.why,
        "engine_warnings": engine_choice.warnings(settings, user, environ, engine),
        "hook": hook.script(settings, environ),
        "stop_digest": "",
    }


def wrong_with(settings: Settings, user: Account | None, environ: Mapping[str, str]) -> list[str]:
    """Return each reason why no runner can be started in this container, or by this environment."""
    return [
        *checks.problems(settings, user),
        *checks.environment_problems(environ, settings, user),
        *hook.problems(settings),
    ]


def doubts(
    settings: Settings, user: Account, environ: Mapping[str, str], engine: Choice
) -> list[str]:
    """Return warnings about this container, in which a runner starts all the same."""
    found = checks.warnings(settings, user, environ)
    if any("/Worker_" in path for path in home.diagnostics(settings.home)):
        found.append(
            "this container has had a job before, which may have changed whatever is in it; take a"
            " new container for each job (docker run --rm, no --restart)"
        )
    if problem := engine_choice.container_jobs_problem():
        found.append(problem)
    if engine.kind in engine_choice.PROGRAMS and environ.get(ADDRESS):
        found.append(
            f"{ADDRESS}: jobs do not get it, since RUNNER_ENGINE={engine.kind} starts an engine for"
            " them in this container"
        )
    if (time := environ.get(WAIT)) and not waiting_time(environ) and time.strip("0"):
        found.append(f"{WAIT}: {redaction.shown(time)} is no number of seconds: nothing is awaited")
    return found + exposure.weaknesses(settings, user)


def _tell(settings: Settings, recognised: str, notes: list[str]) -> None:
    """Log how the settings were understood."""
    if settings.version:
        log.info("life.started", "starting", runner=settings.version, released=settings.released)
    if recognised:
        log.info("settings.recognised", recognised)
    for note in notes:
        log.warning("settings.note", note)


def exposed(settings: Settings, secrets: Mapping[str, str], origins: Collection[str]) -> list[str]:
    """Return a warning if the credential is in the container's environment in spite of until-job.

    `secrets` are those of the environment. Another project's variable counts if it is in `origins`.
    """
    names = (*credential.VARIABLES, *(name for name in BORROWED if name in origins))
    given = [variable for variable in names if secrets.get(variable)]
    if settings.keep_credential != "until-job" or not given:
        return []
    warning = (
        f"RUNNER_CREDENTIAL: until-job drops {given[0]}, but `docker inspect` and whatever else"
        f" shows the container's environment go on showing it; better is an env file ({ENVFILE})"
        f" or a file of its own ({given[0]}_FILE)"
    )
    return [warning]


def require_free_disk(settings: Settings, engine: str) -> None:
    """Raise a Failure (75, try again later) if too little disk space is free.

    The work folder needs it, and so does the data root of an engine that is started here. A folder
    that is still to be made will be where its parent is.
    """
    for path in filter(None, (settings.workdir_path, engine_choice.data_root(engine, settings))):
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
