"""The checks of this container by `gh-runner check`: user, files, libraries, disk, engine."""

from __future__ import annotations

import glob
import os
import shutil
import subprocess
from collections.abc import Iterator

from entrypoint.commands import finding
from entrypoint.commands.finding import Finding
from entrypoint.container import account
from entrypoint.errors import ExitCode, Failure
from entrypoint.lifecycle import engine
from entrypoint.runner import checks, program
from entrypoint.settings.schema import Settings, environment

_FREE = 2 * 1024**3  # bytes; with less than that, even a checkout and a build may fail
_ENGINES = {"docker": "dockerd", "podman": "podman"}
_LDD_TIMEOUT = 10.0  # seconds
# The files on which config.sh runs ldd. It also asks ldconfig for libicu (`_has_icu`).
_DOTNET = (
    "libcoreclr.so",
    "libSystem.Security.Cryptography.Native.OpenSsl.so",
    "libSystem.IO.Compression.Native.so",
)


def look(settings: Settings) -> Iterator[Finding]:
    """Yield the findings; a missing work folder is made, and an empty one of root is chowned."""
    yield from _runner(settings)
    yield from _libraries(settings.home)
    yield from _disk(settings)
    yield from _engine(settings)


def _runner(settings: Settings) -> Iterator[Finding]:
    user = account.lookup(settings.user)
    problems = checks.problems(settings, user)
    problems += checks.environment_problems(environment(), settings, user)
    for problem in problems:
        yield finding.wrong("runner", Failure(ExitCode.CONFIG, problem))
    for warning in checks.warnings(settings, user) if user else ():
        yield finding.warning("runner", warning)
    if not problems:
        yield finding.fine("runner", f"{settings.home}, for the user {settings.user}")


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
            command, capture_output=True, text=True, timeout=_LDD_TIMEOUT, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout


def _disk(settings: Settings) -> Iterator[Finding]:
    folder = settings.workdir_path
    if not os.path.isdir(folder):
        return
    free = shutil.disk_usage(folder).free
    said = f"{free / 1024**3:.1f} GiB free in {folder}"
    if free < _FREE:
        yield finding.warning("disk", said, "give the work folder a larger volume, or prune images")
    else:
        yield finding.fine("disk", said)


def _engine(settings: Settings) -> Iterator[Finding]:
    """Look for the engine that jobs get; only `run` can find out whether it starts."""
    kind, why = engine.choose(settings, environment())
    if kind in _ENGINES:
        command = _ENGINES[kind]
        if path := shutil.which(command, path=program.PATH):
            yield finding.fine("engine", f"{kind}, by {path}")
        else:
            missing = f"RUNNER_ENGINE: this image has no {command}"
            remedy = "take an image that has it, or set RUNNER_ENGINE=none"
            yield finding.wrong("engine", Failure(ExitCode.ENGINE, missing, remedy))
    elif settings.engine == "auto" or kind == "given":
        yield finding.fine("engine", f"{kind}: {why}")
    if kind == "given":
        for warning in engine.shared_engine_warnings(settings):
            yield finding.warning("engine", warning)
    if problem := engine.container_jobs_problem():
        yield finding.warning("container:", problem)
