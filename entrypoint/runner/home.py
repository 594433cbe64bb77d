"""The directory of GitHub's runner: its record, its logs, and what an earlier start has left.

Jobs run as the owner of this directory. So a job may have written any file that is read here.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat

from entrypoint import log
from entrypoint.container import kernel
from entrypoint.errors import ExitCode, Failure

# If one of these files is left, config.sh refuses with "already configured", so all must go.
IDENTITY = (
    ".runner",
    ".runner_migrated",
    ".credentials",
    ".credentials_migrated",
    ".credentials_rsaparams",
)
# The folders that a worker makes for itself. Check-outs and _tool are kept for the next job.
_WORK = ("_temp", "_actions", "_PipelineMapping", "_update")
_TAIL_LINES = 20
_LARGEST_RECORD = 1 << 20  # bytes
_LARGEST_READ = 1 << 16  # bytes of a log


class Record:
    """What `.runner` says about the registration; `id` is None if it is not a number there."""

    def __init__(self, number: int | None, name: str) -> None:
        """Take what the file says."""
        self.id = number
        self.name = name


def record(home: str) -> Record | None:
    """Return the runner's own record of its registration, or None if there is none."""
    import json  # PID 1 reads the record in a child, and does without it

    # config.sh writes a byte order mark and keys in camelCase; a JIT configuration has PascalCase.
    for name in (".runner", ".runner_migrated"):
        try:
            with open(os.path.join(home, name), "rb", opener=_without_waiting) as file:
                content = json.loads((file.read(_LARGEST_RECORD) or b"").decode("utf-8-sig"))
            found = {key.lower(): value for key, value in content.items()}
        except (OSError, ValueError, AttributeError, RecursionError):
            continue
        number = str(found.get("agentid"))
        known = number.isascii() and number.isdigit()
        return Record(int(number) if known else None, str(found.get("agentname") or ""))
    return None


def _without_waiting(path: str, flags: int) -> int:
    # A job may have put a FIFO there, and opening that would wait for a writer.
    return os.open(path, flags | os.O_NONBLOCK)


def diagnostics(home: str) -> dict[str, int]:
    """Return the sizes of the logs in _diag, by their paths. Only regular files count.

    A log's name has the second of its start, so two starts within one second write into one log.
    """
    found: dict[str, int] = {}
    try:
        with os.scandir(os.path.join(home, "_diag")) as logs:
            for entry in logs:
                _add_size(entry, found)
    except OSError:
        pass
    return found


def _add_size(entry: os.DirEntry[str], sizes: dict[str, int]) -> None:
    try:
        if entry.is_file(follow_symlinks=False):
            sizes[entry.path] = entry.stat(follow_symlinks=False).st_size
    except OSError:  # it has just been deleted
        pass


def announce_logs(home: str, uid: int, gid: int) -> None:
    """Have the kernel send SIGIO to this process at each new log in _diag (F_NOTIFY in fcntl(2)).

    The folder is made, for that user and group, if it is missing. Where the kernel cannot do that
    (gVisor), this process sees a new log when something else wakes it.
    """
    folder = os.path.join(home, "_diag")
    try:
        if not os.path.isdir(folder):
            os.mkdir(folder)
            if os.geteuid() == 0:
                os.chown(folder, uid, gid)
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        fcntl.fcntl(descriptor, fcntl.F_NOTIFY, fcntl.DN_CREATE | fcntl.DN_MULTISHOT)
    except OSError as error:
        log.debug(
            "listener.unwatched", "new logs are not announced", folder=folder, why=error.strerror
        )


def announce_growth(home: str) -> int | None:
    """Have the kernel send SIGIO to this process once, when a log in _diag grows next.

    Once only, because a job writes thousands of lines. Returns a descriptor, which must stay open
    until then; None where the kernel cannot do that (gVisor).
    """
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        descriptor = os.open(os.path.join(home, "_diag"), flags)
    except OSError:
        return None
    try:
        fcntl.fcntl(descriptor, fcntl.F_NOTIFY, fcntl.DN_MODIFY)
    except OSError as error:
        log.debug("listener.unwatched", "the growth of logs is not announced", why=error.strerror)
        os.close(descriptor)
        return None
    return descriptor


def read_from(path: str, start: int) -> str:
    """Return a log from an offset on, at most its last 64 KiB; "" if it cannot be read."""
    try:
        # A job may have put a FIFO, a link or a device in the log's place: none of them is read.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            found = os.fstat(descriptor)
            if stat.S_ISREG(found.st_mode):
                start = start if start <= found.st_size else 0
                file.seek(max(start, found.st_size - _LARGEST_READ))
                return file.read(_LARGEST_READ).decode(errors="replace")
    except OSError:
        pass
    return ""


def container_label(home: str) -> str:
    """Return the label that GitHub's runner gives to a job's containers; "" without a record.

    It is the beginning of the SHA-256 of the text of `.runner`, without its byte order mark and in
    lower case (actions/runner, IOUtil.GetSha256Hash in DockerCommandManager).
    """
    import hashlib  # takes 2 ms, and is needed only where the engine is shared with others

    path = os.path.join(home, ".runner")
    text = read_from(path, 0).removeprefix("\ufeff")
    return hashlib.sha256(text.lower().encode()).hexdigest()[:6] if text else ""


def tail(path: str) -> str:
    """Return the last lines of a log; "" if it cannot be read."""
    return "\n".join(read_from(path, 0).splitlines()[-_TAIL_LINES:]).strip()


def claim(home: str) -> None:
    """Lock the runner's directory for as long as this process lives.

    Raises a Failure (78) if another gh-runner has it locked: one that `docker exec` has started, or
    one in another container on the same volume. Its files must not be cleared as leftovers.
    """
    _lock(home, fcntl.LOCK_EX)


def require_unclaimed(home: str) -> None:
    """Raise the Failure that `claim` would raise; lock nothing for longer than a moment."""
    if (descriptor := _lock(home, fcntl.LOCK_SH)) is not None:
        os.close(descriptor)


def _lock(home: str, kind: int) -> int | None:
    """Return a descriptor that holds the lock; None where there are no locks."""
    try:
        descriptor = os.open(home, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        raise Failure(
            ExitCode.CONFIG,
            f"RUNNER_HOME: another gh-runner is at work in {home}",
            "give each runner a directory of its own; `gh-runner status` tells of the one here",
        ) from None
    except OSError as error:  # not every file system has locks
        log.debug(
            "runner.directory_not_held", "the directory is not held", path=home, why=error.strerror
        )
        return None
    return descriptor


def clear(home: str, work: str) -> list[str]:
    """Delete the identity files and the worker's own folders; return what was deleted.

    Raises a Failure (78) if an identity file cannot be deleted, because config.sh would refuse.
    """
    identity = [name for name in IDENTITY if os.path.lexists(os.path.join(home, name))]
    for name in identity:
        _delete(os.path.join(home, name))
    return identity + [os.path.join(os.path.basename(work), name) for name in _clear_work(work)]


def _clear_work(work: str) -> list[str]:
    folders = [name for name in _WORK if _is_plain_folder(os.path.join(work, name))]
    if not folders:
        return []
    # Both imports take time, and most starts find nothing to delete.
    import shutil

    from entrypoint.container import files

    try:
        opened = files.open_directory(work, make=False)
    except OSError:  # a job of an earlier start has put a link in its place
        return []
    for name in folders:
        # No process of the runner's user runs yet, and rmtree follows no symbolic link.
        shutil.rmtree(name, ignore_errors=True, dir_fd=opened)
    os.close(opened)
    return folders


def require_clearable(home: str) -> None:
    """Raise the Failure that `clear` would raise; delete nothing."""
    points = kernel.mount_points()
    for path in (os.path.join(home, name) for name in IDENTITY):
        if path in points:
            raise _in_the_way(path, os.strerror(errno.EBUSY))
        if os.path.isdir(path) and not os.path.islink(path):
            raise _in_the_way(path, os.strerror(errno.EISDIR))


def _delete(path: str) -> None:
    try:
        os.unlink(path)
    except OSError as error:
        raise _in_the_way(path, str(error.strerror)) from None


def _in_the_way(path: str, why: str) -> Failure:
    return Failure(
        ExitCode.CONFIG,
        f"RUNNER_HOME: {path} is in the way and cannot be deleted: {why}",
        "it would be a registration of an earlier start: mount nothing there, or take a new"
        " container",
    )


def _is_plain_folder(path: str) -> bool:
    return os.path.isdir(path) and not os.path.islink(path) and not kernel.has_mounts(path)
