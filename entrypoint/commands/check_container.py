"""The checks of this container by `gh-runner check`: limits, user, files, disk, engine.

What `run` requires is tried by the functions that `run` calls.
"""

from __future__ import annotations

import glob
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping

from entrypoint.commands import finding
from entrypoint.commands.finding import Finding
from entrypoint.container import account, certificates, kernel, state
from entrypoint.container.account import Account
from entrypoint.errors import ExitCode, Failure, refused_by_kernel
from entrypoint.lifecycle import (
    engine_child,
    engine_choice,
    exposure,
    prepare_child,
)
from entrypoint.lifecycle.engine import given_address, waiting_time
from entrypoint.lifecycle.engine_choice import Choice
from entrypoint.lifecycle.figures import UNWRITTEN
from entrypoint.runner import home, hook, program
from entrypoint.settings.schema import Settings, environment
from entrypoint.settings.secret_files import SecretFile
from entrypoint.vault import Vault, forbid_core_dumps

_TIMEOUT = 10.0  # seconds that a program may take
_ENGINE_TIMEOUT = 2.0  # seconds that an engine may take to answer
# The files on which config.sh runs ldd. It also asks ldconfig for libicu (`_has_icu`).
_DOTNET = (
    "libcoreclr.so",
    "libSystem.Security.Cryptography.Native.OpenSsl.so",
    "libSystem.IO.Compression.Native.so",
)


def look(settings: Settings, files: Mapping[str, SecretFile]) -> Iterator[Finding]:
    """Yield the findings; a missing work folder is made, and an empty one of root is chowned.

    `files` are those that secrets and settings were read from.
    """
    user = account.lookup(settings.user)
    engine = engine_choice.choose(settings, environment())
    problems = prepare_child.wrong_with(settings, user, environment())
    for problem in problems:
        yield finding.wrong("runner", Failure(ExitCode.CONFIG, problem))
    if user is not None:
        yield from _runner(settings, user, files, engine, is_fine=not problems)
    yield from _libraries(settings.home)
    yield from _disk(settings, engine)
    yield from _state(settings)
    yield from _metrics(settings)
    yield from _engine(settings, engine)
    if user is not None:
        for warning in engine_choice.warnings(settings, user, environment(), engine):
            yield finding.warning("engine", warning)


def _runner(
    settings: Settings,
    user: Account,
    files: Mapping[str, SecretFile],
    engine: Choice,
    *,
    is_fine: bool,
) -> Iterator[Finding]:
    for warning in prepare_child.doubts(settings, user, environment(), engine):
        yield finding.warning("runner", warning)
    try:
        if is_fine:
            _try_limits(settings, user)
            home.require_unclaimed(settings.home)
            home.require_clearable(settings.home)
            yield finding.fine("runner", f"{settings.home}, for the user {settings.user}")
        for warning in exposure.removals(files, settings, user, environment(), engine).stuck:
            yield finding.warning("secrets", warning)
    except Failure as failure:
        yield finding.wrong("runner", failure)


def _try_limits(settings: Settings, user: Account) -> None:
    """Do what `run` does under the container's limits. Raises a Failure if one forbids it."""
    try:
        Vault().fill({})
        forbid_core_dumps()
        done = subprocess.run(
            program.as_user(settings, user, ["true"]),
            env={"PATH": program.PATH},
            capture_output=True,
            text=True,
            timeout=_TIMEOUT,
            check=False,
        )
        told = "" if done.returncode == 0 else done.stderr.strip() or f"code {done.returncode}"
    except subprocess.TimeoutExpired:
        told = f"it takes more than {_TIMEOUT:g} s"
    except OSError as error:
        if failure := refused_by_kernel(error):
            raise failure from None
        told = str(error)
    if told:
        message = f"no program can be run as {user.name}: {told}"
        raise Failure(ExitCode.RUNNER, message, "look at the limits of this container")


def _libraries(home: str) -> Iterator[Finding]:
    """Look for the libraries that .NET needs, as config.sh does at its start."""
    found = [path for name in _DOTNET if os.path.isfile(path := os.path.join(home, "bin", name))]
    if not found:
        return
    missing = sorted({library for path in found for library in _not_found(path)})
    if not _has_icu():
        missing.append("libicu")
    if missing:
        yield finding.wrong(
            "libraries",
            Failure(
                ExitCode.RUNNER,
                f"the runner needs {', '.join(missing)}",
                f"run {home}/bin/installdependencies.sh in the image",
            ),
        )
    else:
        yield finding.fine("libraries", "all that .NET needs are there")


def _not_found(path: str) -> list[str]:
    """Return the libraries that a file needs and the loader does not find."""
    lines = _output(["ldd", path]).splitlines()
    return [line.split()[0] for line in lines if line.endswith("not found")]


def _has_icu() -> bool:
    folders = ("/usr/lib*", "/lib*", "/usr/local/lib*")
    patterns = [f"{folder}/{below}libicuuc.so*" for folder in folders for below in ("", "*/")]
    return any(glob.glob(pattern) for pattern in patterns)


def _output(command: list[str]) -> str:
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_TIMEOUT, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout


def _disk(settings: Settings, engine: Choice) -> Iterator[Finding]:
    try:
        prepare_child.require_free_disk(settings, engine.kind)
    except Failure as failure:
        yield finding.wrong("disk", failure)
        return
    if os.path.isdir(folder := settings.workdir_path):
        yield finding.fine("disk", f"{kernel.free_disk(folder)} free in {folder}")


def _state(settings: Settings) -> Iterator[Finding]:
    """Try to write to the state directory; an error only if a setting needs it, else a warning."""
    try:
        if settings.keep_credential == "until-job" and settings.registration != "given":
            hook.try_out(settings)
        certificates.bundle(settings.ca_file, settings.state_dir)
    except Failure as failure:
        yield finding.wrong("state", failure)
        return
    if why := state.try_out(settings.state_dir):
        yield finding.warning("state", state.UNWRITTEN, why)
    else:
        yield finding.fine("state", settings.state_dir)


def _metrics(settings: Settings) -> Iterator[Finding]:
    """Try to write where the figures go; a runner starts without them."""
    if not settings.metrics_file:
        return
    from entrypoint.lifecycle import metrics_child  # loads the Prometheus client

    if why := metrics_child.try_out(settings.metrics_file):
        yield finding.warning("metrics", UNWRITTEN, why)
    else:
        yield finding.fine("metrics", settings.metrics_file)


def _engine(settings: Settings, engine: Choice) -> Iterator[Finding]:
    """Look for the engine that jobs get; only `run` can find out whether one of ours starts."""
    kind, why = engine
    try:
        if kind in engine_choice.PROGRAMS:
            path = engine_choice.path_of(kind, environment())
            yield finding.fine("engine", f"{kind}, by {path}")
        elif kind == "given":
            silent = _ask_engine(environment())
            fine = finding.fine("engine", f"{kind}: {why}")
            yield finding.warning("engine", f"{why}: {silent}") if silent else fine
        elif settings.engine == "auto":
            yield finding.fine("engine", f"{kind}: {why}")
    except Failure as failure:
        yield finding.wrong("engine", failure)


def _ask_engine(environ: Mapping[str, str]) -> str:
    """Return why a given engine does not answer; "" if it does.

    `run` waits for it only if the operator wants that, and only then a Failure is raised (69).
    """
    address = given_address(environ)
    why = engine_child.await_answer(address, time.monotonic() + _ENGINE_TIMEOUT, own=False)
    seconds = waiting_time(environ)
    if not why or not seconds:
        return why
    if seconds > _ENGINE_TIMEOUT:
        sys.stderr.write(f"waiting for the container engine, for at most {seconds:g} s\n")
        why = engine_child.await_answer(address, time.monotonic() + seconds, own=False)
    if why:
        raise engine_choice.unanswered(address, seconds, why)
    return ""
