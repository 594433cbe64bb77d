"""A dirty start: what an earlier life in the same container or on the same volume has left.

Only what a runner makes by itself is deleted, and no mount is ever entered: a user may keep a
cache there.
"""

from __future__ import annotations

import fcntl
import os
from typing import Any

from entrypoint import log
from entrypoint.container import mounts
from entrypoint.errors import ExitCode, Failure
from entrypoint.runner import program

# What a worker makes in its work folder for itself; check-outs and _tool are worth keeping.
_WORK = ("_temp", "_actions", "_PipelineMapping", "_update")


def claim(home: str) -> None:
    """Hold the runner's directory for as long as this process lives.

    Raises a Failure (78) if another one does: in this container, by `docker exec`, or in another
    one on the same volume. What it has made is nothing that is left.
    """
    try:
        descriptor = os.open(home, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise Failure(
            ExitCode.CONFIG,
            f"RUNNER_HOME: another gh-runner is at work in {home}",
            "give each runner a directory of its own; `gh-runner status` tells of the one here",
        ) from None
    except OSError as error:  # not every file system can do it
        log.debug("the directory is not held", path=home, why=error.strerror)


def registration(home: str) -> dict[str, Any] | None:
    """Return id and name of the runner whose record an earlier life has left, if there is one."""
    record = program.registration(home) or {}
    number, name = str(record.get("agentid")), record.get("agentname")
    if not (number.isascii() and number.isdigit() and name):
        return None
    return {"id": int(number), "name": str(name)}


def clear(home: str, work: str) -> list[str]:
    """Delete the identity files and the worker's own folders; return what was deleted.

    Raises a Failure (78) if an identity file stays, since config.sh would refuse to go on.
    """
    identity = [name for name in program.IDENTITY if os.path.lexists(os.path.join(home, name))]
    for name in identity:
        _delete(os.path.join(home, name))
    folders = [name for name in _WORK if _is_plain_folder(os.path.join(work, name))]
    if folders:
        import shutil  # noqa: PLC0415 - 2 ms of each start

    for name in folders:
        # Nobody of the runner's is alive yet, and rmtree follows no symbolic link.
        shutil.rmtree(os.path.join(work, name), ignore_errors=True)
    return identity + [os.path.join(os.path.basename(work), name) for name in folders]


def _delete(path: str) -> None:
    try:
        os.unlink(path)
    except OSError as error:
        raise Failure(
            ExitCode.CONFIG,
            f"RUNNER_HOME: {path} is in the way and cannot be deleted: {error.strerror}",
            "it would be a registration of an earlier start: mount nothing there, or take a new"
            " container",
        ) from None


def _is_plain_folder(path: str) -> bool:
    return os.path.isdir(path) and not os.path.islink(path) and not mounts.touched_by(path)
