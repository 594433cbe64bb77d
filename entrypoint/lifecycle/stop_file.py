"""A stop by a file, for a virtual machine: a signal from the host cannot reach a process inside.

RUNNER_STOP_FILE names a file in a folder that host and machine share. Once that file exists and
holds RUNNER_STOP_SECRET, the runner stops as at a SIGTERM.
"""

from __future__ import annotations

from entrypoint import log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from entrypoint.init.child import Child
    from entrypoint.init.pid1 import Init

_SPARE = 10  # children in a life: a job may kill each one, and that must not keep PID 1 busy


def digest(secret: str) -> str:
    """Return the SHA-256 of the secret, in hexadecimal: PID 1 and the child keep only this."""
    from hashlib import sha256  # loads OpenSSL, and few containers have such a secret

    return sha256(secret.encode()).hexdigest()


class StopFileWatcher:
    """Has a child look for the stop file during a `with` block, and replaces it if it is killed.

    A child does this because a look at a folder of another machine can hang.
    """

    def __init__(self, pid_1: Init, path: str, secret_digest: str) -> None:
        """Start the child; without a path there is none."""
        self._init, self._path, self._digest = pid_1, path, secret_digest
        self._spare = _SPARE
        self._child = self._start() if path else None

    def __enter__(self) -> None:
        """Look after the child whenever PID 1 wakes."""
        self._init.on_wake.append(self.replace)

    def __exit__(self, *_: object) -> None:
        """Kill the child."""
        self._init.on_wake.remove(self.replace)
        if self._child is not None:
            self._init.end(self._child)
            self._child.close()

    def _start(self) -> Child:
        def watch() -> bytes:
            from entrypoint.lifecycle import stop_file_child  # PID 1 must not load it

            stop_file_child.watch(self._path, self._digest)

        return self._init.fork(watch)

    def replace(self) -> None:
        """Start another child if the child was killed, by a job's root or for want of memory."""
        if self._child is None or self._child.outcome is None or not self._spare:
            return
        self._spare -= 1
        self._child.close()
        try:
            self._child = self._start()
        except OSError as error:  # fork failed at the pids limit
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
