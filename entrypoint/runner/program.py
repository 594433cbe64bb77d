"""GitHub's own runner: its files, its programs, what it leaves behind (actions/runner)."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Mapping
from typing import Any

from entrypoint import log
from entrypoint.container import account
from entrypoint.container.account import Account, can, missing_capabilities
from entrypoint.settings.schema import Settings, variables
from entrypoint.vault import SECRETS

# One of these left over and config.sh refuses with "already configured"; all must go.
IDENTITY = (
    ".runner",
    ".runner_migrated",
    ".credentials",
    ".credentials_migrated",
    ".credentials_rsaparams",
)
PROGRAMS = ("config.sh", "run.sh")
TOKEN_VARIABLE = "ACTIONS_RUNNER_INPUT_TOKEN"  # noqa: S105 - config.sh's --token, not in argv
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_TAIL_LINES = 20
_LARGEST_RECORD = 1 << 20  # bytes


def problems(settings: Settings, user: Account | None) -> list[str]:
    """Return what is wrong with the runner's user, its directory and its work folder."""
    if user is None:
        return [f"RUNNER_USER: this container has no user {settings.user!r}"]
    if os.geteuid() not in (0, user.uid):
        return [f"RUNNER_USER: only root can become {user.name}; start the container as root"]
    if lacking := missing_capabilities():
        problem = (
            f"RUNNER_USER: root cannot run jobs as {user.name} without the capabilities"
            f" {', '.join(lacking)}; add them (--cap-add), or start the container as that user"
            f" (--user {user.name})"
        )
        return [problem]
    missing = [p for p in PROGRAMS if not os.path.isfile(os.path.join(settings.home, p))]
    if missing:
        return [f"RUNNER_HOME: {settings.home} holds no {' and no '.join(missing)}"]
    found = []
    if not can(user, settings.home, os.W_OK | os.X_OK):
        found.append(f"RUNNER_HOME: {user.name} cannot write to {settings.home}")
    return found + _workdir_problems(settings, user)


def _workdir_problems(settings: Settings, user: Account) -> list[str]:
    """Make the work folder if it is not there; what the listener would refuse is said here.

    config.sh does not look at it: it registers, and then the listener ends at once.
    """
    folder = settings.workdir_path
    try:
        if not os.path.isdir(folder):
            os.makedirs(folder)
            if os.geteuid() == 0:
                os.chown(folder, user.uid, user.gid)
    except OSError as error:
        return [f"RUNNER_WORKDIR: {folder} cannot be made: {error.strerror}"]
    if not can(user, folder, os.R_OK | os.W_OK | os.X_OK):
        return [f"RUNNER_WORKDIR: {user.name} cannot write to {folder}"]
    return []


def path_problems(
    environ: Mapping[str, str], settings: Settings, user: Account | None
) -> list[str]:
    """Return what is wrong with PATH: in an env file of Docker's no variable is expanded."""
    path = environ.get("PATH", PATH)
    program = account.command(settings, user, [PROGRAMS[0]])[0] if user else ""
    if program != "setpriv" or any(
        os.access(os.path.join(directory, program), os.X_OK) for directory in path.split(":")
    ):
        return []
    return [f"PATH: no {program} is found by {path!r}; an env file does not expand variables"]


def ours() -> set[str]:
    """Return the names of all our settings and secrets."""
    return {*variables(), *SECRETS, *(f"{secret}_FILE" for secret in SECRETS)}


def base_environment(environ: Mapping[str, str], settings: Settings) -> dict[str, str]:
    """Return the container's environment without ours, and with the private authority."""
    trust: Mapping[str, str] = {}
    if settings.ca_file:
        from entrypoint.container import certificates  # noqa: PLC0415 - loads ssl, which PID 1 need not keep

        trust = certificates.environment(settings)
    kept = {k: v for k, v in environ.items() if k not in ours()}
    return {"PATH": PATH, **trust, **kept}


def environment(environ: Mapping[str, str], settings: Settings, user: Account) -> dict[str, str]:
    """Return the listener's environment, which every job inherits: nothing of ours in it."""
    return {
        **base_environment(environ, settings),
        "HOME": user.home,
        "USER": user.name,
        "LOGNAME": user.name,
        # Exit code 7 of its own for a version that GitHub no longer accepts; else it is 1.
        "ACTIONS_RUNNER_RETURN_VERSION_DEPRECATED_EXIT_CODE": "1",
    }


def config_command(settings: Settings, name: str) -> list[str]:
    """Return the command that registers; the token is not in it, argv is public."""
    options = {
        "--url": settings.web_url,
        "--name": name,
        "--work": settings.workdir,
        "--labels": ",".join(settings.labels),
        "--runnergroup": settings.group,
    }
    flags = {
        "--ephemeral": settings.ephemeral,
        "--disableupdate": settings.disable_update,
        "--no-default-labels": settings.no_default_labels,
    }
    command = [f"{settings.home}/config.sh", "--unattended", "--replace"]
    command += [word for option, value in options.items() if value for word in (option, value)]
    return command + [flag for flag, wanted in flags.items() if wanted]


def remove_command(settings: Settings) -> list[str]:
    """Return the command that takes the registration off GitHub's list."""
    return [f"{settings.home}/config.sh", "remove"]


def run_command(settings: Settings) -> list[str]:
    """Return the command that starts the listener."""
    return [f"{settings.home}/run.sh"]


def registration(home: str) -> dict[str, Any] | None:
    """Return the runner's own record of its registration, with lower-case keys, if there is one.

    config.sh writes it with a byte order mark and camelCase keys, a JIT configuration PascalCase.
    """
    for name in (".runner", ".runner_migrated"):
        try:
            with open(os.path.join(home, name), "rb", opener=_without_waiting) as file:
                record = json.loads((file.read(_LARGEST_RECORD) or b"").decode("utf-8-sig"))
            return {key.lower(): value for key, value in record.items()}
        except (OSError, ValueError, AttributeError, RecursionError):
            continue
    return None


def _without_waiting(path: str, flags: int) -> int:
    """Open what a job may have put there: a FIFO, which nobody will ever write to."""
    return os.open(path, flags | os.O_NONBLOCK)


def diagnostics(home: str) -> dict[str, int]:
    """Return the logs in _diag, by path, with their sizes.

    Their names tell the second, so that two starts within one second share a log.
    """
    try:
        with os.scandir(os.path.join(home, "_diag")) as logs:
            return {entry.path: entry.stat().st_size for entry in logs}
    except FileNotFoundError:
        return {}


def announce_logs(home: str, user: Account) -> None:
    """Have SIGIO sent to this process whenever a log is made in _diag (F_NOTIFY in fcntl(2)).

    A kernel without it (gVisor) is no reason not to start: news is then seen when something
    else wakes us.
    """
    folder = os.path.join(home, "_diag")
    try:
        if not os.path.isdir(folder):
            os.mkdir(folder)
            if os.geteuid() == 0:
                os.chown(folder, user.uid, user.gid)
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        fcntl.fcntl(descriptor, fcntl.F_NOTIFY, fcntl.DN_CREATE | fcntl.DN_MULTISHOT)
    except OSError as error:
        log.debug("new logs are not announced", folder=folder, why=error.strerror)


def tail(path: str) -> str:
    """Return the last lines of a log."""
    with open(path, encoding="utf-8", errors="replace") as file:
        return "".join(file.readlines()[-_TAIL_LINES:]).strip()
