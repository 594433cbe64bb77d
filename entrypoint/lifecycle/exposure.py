"""What a job could reach in this container: a way to become root, and files with secrets."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from entrypoint.container import kernel
from entrypoint.container.account import Account, can
from entrypoint.errors import ExitCode, Failure
from entrypoint.init.pid1 import Init
from entrypoint.lifecycle import engine_choice
from entrypoint.lifecycle.engine import ADDRESS
from entrypoint.lifecycle.engine_choice import Choice
from entrypoint.runner import program
from entrypoint.settings.schema import Settings
from entrypoint.settings.secret_files import ENVFILE, SecretFile

_HOST_SOCKETS = (
    *("/run/docker.sock", "/var/run/docker.sock", "/run/podman/podman.sock"),
    *("/run/containerd/containerd.sock", "/run/crio/crio.sock"),
)
_WAYS_OUT = (
    "mount the directory that holds it, and writable, instead of the file alone, so that it can be"
    " deleted; or make it readable for root only (chown root, chmod 600) and set RUNNER_SUDO=0{};"
    " RUNNER_ALLOW_READABLE_SECRETS=1 starts all the same"
)
_AS_ROOT = "root, by "  # followed by the way, as `way_to_root` returns it
_NO_ENGINE = " and RUNNER_ENGINE=none, with no engine's socket mounted and no DOCKER_HOST"
_SUDO_TIMEOUT = 5.0  # seconds; if sudo has not answered by then, the user is taken to have sudo


def way_to_root(
    settings: Settings, user: Account, environ: Mapping[str, str], engine: Choice
) -> str:
    """Return the way in which a job can become root, and so read what root can; "" if none.

    Jobs have the container's environment, so DOCKER_HOST leads them to an engine also if
    RUNNER_ENGINE is none. An engine mounts for them whatever its host has.
    """
    if engine.kind in engine_choice.PROGRAMS:
        return engine.kind
    if (address := environ.get(ADDRESS)) and _can_reach(user, address):
        return f"the engine at {ADDRESS}"
    for path in _HOST_SOCKETS:
        if can(user, path, os.W_OK):
            return f"the engine behind {path}"
    if not settings.sudo:
        return ""
    own = Init()
    try:
        # `sudo -l` needs no password if the user has any right without one (listpw in sudoers(5)).
        asking = program.as_user(settings, user, ["sudo", "-n", "-l"])
        child = own.spawn(asking, env={"PATH": os.defpath}, capture=True)
    except FileNotFoundError:  # setpriv, or without it sudo itself, is not installed
        return ""
    outcome = own.wait(child, time.monotonic() + _SUDO_TIMEOUT)
    own.end(child)
    return "sudo" if outcome in (0, None) else ""


def _can_reach(user: Account, address: str) -> bool:
    """Return whether jobs may use the engine at an address; an engine elsewhere decides itself."""
    path = engine_choice.socket_of(address)
    # A sidecar's engine may make its socket only later.
    return not path or not os.path.exists(path) or can(user, path, os.W_OK)


def weaknesses(settings: Settings, user: Account) -> list[str]:
    """Return warnings about what a job can do here, but not in a container with usual settings."""
    found = []
    if os.geteuid() == user.uid:
        found.append(
            f"RUNNER_USER: PID 1 is {user.name} as jobs are, so a job can read the environment"
            " of health checks and of `docker exec`; start the container as root"
        )
    kept = settings.allow_ptrace or not kernel.has_capability(kernel.CAP_SETPCAP, "CapEff")
    if (
        kept
        and settings.sudo
        and kernel.has_capability(kernel.CAP_SYS_PTRACE)
        and settings.keep_credential != "until-job"
    ):
        found.append(
            "RUNNER_ALLOW_PTRACE: a job with sudo and CAP_SYS_PTRACE can read the credential;"
            " RUNNER_CREDENTIAL=until-job keeps it from that, RUNNER_SUDO=0 as well"
        )
    return found


def protect(
    files: Mapping[str, SecretFile],
    settings: Settings,
    user: Account,
    environ: Mapping[str, str],
    engine: Choice,
) -> list[str]:
    """Delete each secret's file that a job could read, and any env file; return notes about it.

    A file that is mounted by itself, as Docker does with secrets, is unmounted if that is allowed.
    Raises a Failure if a job could read a file that cannot be deleted. All files are kept then.
    """
    going, readers, stuck = removals(files, settings, user, environ, engine)
    paths = {variable: file.path for variable, file in files.items() if variable in going}
    mounted = kernel.mount_points()
    _delete({*paths.values()})
    return stuck + [
        f"{variable}: {path} was {'unmounted' if path in mounted else 'deleted'}, a job could have"
        f" read it as {readers[variable]}"
        for variable, path in paths.items()
        if variable in readers
    ]


class Removals(NamedTuple):
    """What `protect` does with the files of secrets. Files are named by their variables.

    `going` will be deleted. `readers` has, for each file that a job could read, the user as whom.
    `stuck` has a warning for each such file that cannot be deleted.
    """

    going: set[str]
    readers: dict[str, str]
    stuck: list[str]


def removals(
    files: Mapping[str, SecretFile],
    settings: Settings,
    user: Account,
    environ: Mapping[str, str],
    engine: Choice,
) -> Removals:
    """Return what `protect` would do. Raises the Failure that it would; deletes nothing."""
    obstacles = {variable: _obstacle(file) for variable, file in files.items()}
    going = {variable for variable in files if variable == ENVFILE and not obstacles[variable]}
    staying = {variable: file for variable, file in files.items() if variable not in going}
    readers = {v: user.name for v, file in staying.items() if can(user, file.path, os.R_OK)}
    if len(readers) < len(staying) and (way := way_to_root(settings, user, environ, engine)):
        readers = dict.fromkeys(staying, f"{_AS_ROOT}{way}") | readers
    stuck = [
        f"{name}: {files[name].path} cannot be deleted ({obstacles[name]}), and a job could read it"
        f" as {reader}"
        for name, reader in readers.items()
        if obstacles[name]
    ]
    if stuck and not settings.allow_readable_secrets:
        raise Failure(ExitCode.CONFIG, "; ".join(stuck), _ways_out(readers.values()))
    return Removals(going | {name for name in readers if not obstacles[name]}, readers, stuck)


def _ways_out(readers: Iterable[str]) -> str:
    # An engine makes a job root as well, so then RUNNER_SUDO=0 alone would not help.
    by_engine = any(r.startswith(_AS_ROOT) and r != f"{_AS_ROOT}sudo" for r in readers)
    return _WAYS_OUT.format(_NO_ENGINE if by_engine else "")


def _obstacle(file: SecretFile) -> str:
    """Return why a file cannot be deleted; "" if it seems that it can."""
    if file.path in kernel.mount_points():
        return "" if kernel.may_unmount() else "it is mounted by itself"
    if file.names > 1:
        return "it has another name as well (a hard link)"
    if not os.access(file.way[-1].directory, os.W_OK | os.X_OK, effective_ids=True):
        read_only = os.statvfs(file.way[-1].directory).f_flag & os.ST_RDONLY
        return os.strerror(errno.EROFS if read_only else errno.EACCES)
    return ""


def _delete(paths: set[str]) -> None:
    """Delete files; unmount those that are mounts of their own."""
    mounted = kernel.mount_points()
    for path in paths:
        try:
            if path in mounted:
                kernel.unmount(path)
            else:
                os.unlink(path)
        except OSError as error:
            what = f"the secret's file {path} cannot be deleted: {error.strerror}"
            raise Failure(ExitCode.CONFIG, what, _ways_out(())) from None
