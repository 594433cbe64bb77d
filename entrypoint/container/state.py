"""The runner's state for `gh-runner status` and others: one small file, replaced in one step."""

from __future__ import annotations

import os
import stat
import time

from entrypoint import json_text, log
from entrypoint.container import files
from entrypoint.errors import Failure
from entrypoint.redaction import redact_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

FILE = "state.json"
_MAX_SIZE = 64 * 1024  # bytes; ours has some hundreds
UNWRITTEN = "no state file can be written, so `gh-runner status` goes by the processes alone"
REGISTERING, LISTENING, STOPPING, GONE = "registering", "listening", "stopping", "gone"


class StateFile:
    """What the file says of one runner: its phase, since when (UTC), name, id and last error."""

    def __init__(self, directory: str) -> None:
        """Make the directory; if it cannot be written to, warn once, and keep no state file."""
        self._facts: dict[str, Any] = {}
        self._directory = -1
        self._path = directory
        self._is_told = False
        try:
            self._directory = files.open_directory(directory)
        except OSError as error:
            self._tell(error)

    def __enter__(self) -> StateFile:
        """Return itself; the file is written by the first `enter`."""
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        """Enter the phase `gone`, with the message of the Failure that was raised, if any."""
        failed = {"error": error.message} if isinstance(error, Failure) else {}
        self.enter(GONE, **failed)

    def enter(self, phase: str, **facts: Any) -> None:
        """Enter a phase, and add facts that stay in the file from now on."""
        log.debug("life.phase", f"phase: {phase}", **facts)
        self._facts |= {"phase": phase, "since": _now(), **facts}
        self._write()

    def stuck(self, why: str) -> None:
        """Write that the runner hangs, and why; an empty `why` says that it works again."""
        for name in ("stuck", "stuck_since"):
            self._facts.pop(name, None)
        if why:
            self._facts |= {"stuck": why, "stuck_since": _now()}
        self._write()

    def _write(self) -> None:
        if self._directory < 0:
            return
        try:
            text = json_text.dumps(redact_all(self._facts))
            files.put(self._directory, FILE, text.encode(errors="backslashreplace"))
        except OSError as error:
            self._tell(error)

    def _tell(self, error: OSError) -> None:
        """Warn once that the state cannot be written, for example on a read-only root."""
        if not self._is_told:
            self._is_told = True
            log.warning("state.unwritten", UNWRITTEN, hint=_why(self._path, error))


def try_out(directory: str) -> str:
    """Write a file as `StateFile` would, and remove it; return why that fails, or ""."""
    try:
        files.try_out(directory)
    except OSError as error:
        return _why(directory, error)
    return ""


def _why(directory: str, error: OSError) -> str:
    return f"RUNNER_STATE_DIR: {directory}: {error.strerror}"


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def read(directory: str) -> dict[str, Any]:
    """Return the state that a runner has written into a directory; empty where there is none."""
    import json  # not in PID 1, which only writes

    # A directory that is shared with a virtual machine belongs to the machine's root as well, who
    # may put anything there. So links and FIFOs are not opened, and only a JSON object is accepted.
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        descriptor = os.open(os.path.join(directory, FILE), flags)
        with open(descriptor, "rb") as file:
            regular = stat.S_ISREG(os.fstat(descriptor).st_mode)
            state = json.loads(file.read(_MAX_SIZE)) if regular else {}
    except (OSError, ValueError, RecursionError):
        return {}
    return state if isinstance(state, dict) else {}
