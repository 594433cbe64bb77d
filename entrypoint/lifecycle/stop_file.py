"""A stop by file, for a virtual machine: no signal of its host reaches a process in it.

RUNNER_STOP_FILE names a file in a folder that host and machine share. Once the file is there and
holds RUNNER_STOP_SECRET, that is the same as a SIGTERM.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from entrypoint import log
from entrypoint.init.child import Child
from entrypoint.init.pid1 import Init
from entrypoint.settings.schema import Settings

_SPARE = 10  # children in a life; a job that kills each one must not keep PID 1 busy


def digest(secret: str) -> str:
    """Return all that PID 1 and its child know of the secret: its SHA-256, in hexadecimal."""
    from hashlib import sha256  # loads OpenSSL; only for who has such a secret

    return sha256(secret.encode()).hexdigest()


@contextmanager
def watched(pid_1: Init, settings: Settings, secret_digest: str) -> Iterator[None]:
    """Have a child look for the stop file for as long as this lasts; nothing if none is set.

    It is a child, since a look at a folder of another machine can hang, and PID 1 must not.
    """
    if not settings.stop_file:
        yield
        return
    watcher = Watcher(pid_1, settings.stop_file, secret_digest)
    pid_1.on_wake.append(watcher.replace)
    try:
        yield
    finally:
        pid_1.on_wake.remove(watcher.replace)
        watcher.end()


class Watcher:
    """The child that looks; another one in its place, should it be killed."""

    def __init__(self, pid_1: Init, path: str, secret_digest: str) -> None:
        """Start it."""
        self._init, self._path, self._digest = pid_1, path, secret_digest
        self._spare = _SPARE
        self._child = self._start()

    def _start(self) -> Child:
        def watch() -> bytes:
            from entrypoint.lifecycle import stop_file_child  # PID 1 never needs it

            stop_file_child.watch(self._path, self._digest)

        return self._init.fork(watch)

    def replace(self) -> None:
        """Start another one if it has ended: the kernel may kill it for memory, or a job's root."""
        if self._child.outcome is None or not self._spare:
            return
        self._spare -= 1
        self._child.close()
        try:
            self._child = self._start()
        except OSError as error:  # the limit of processes
            log.debug(
                "stop_file.unwatched", "no process looks for the stop file", why=error.strerror
            )
            return
        if not self._spare:
            log.warning(
                "stop_file.unwatched",
                "what looks for the stop file was killed too often; from now on a kill"
                " of it goes unnoticed",
                path=self._path,
            )

    def end(self) -> None:
        """End it."""
        self._init.end(self._child)
        self._child.close()
