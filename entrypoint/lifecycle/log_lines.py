"""RUNNER_LOG_FORMAT=json: the lines of GitHub's programs become JSON as well.

GitHub's programs write into a pipe, and a child of PID 1 reads it (log_lines_child.py), so PID 1
does not wake for each line. The child keeps reading even if no program reads the container's log,
so that a job never has to wait for that.
"""

from __future__ import annotations

import fcntl
import os
import sys
import termios
import time

from entrypoint import log
from entrypoint.init.child import close_all_but, memory_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from entrypoint.init.child import Child
    from entrypoint.init.pid1 import Init

# Seconds that the child has for the last lines; there is less time in a stop. The child gives up by
# itself if no program reads the log.
_DRAIN_TIME, _DRAIN_TIME_OF_STOP = 20.0, 0.5
_WRITE_TIME = 4.0  # seconds for lines that the child has read and not written yet
_LOOK_EVERY = 0.02  # seconds


class LinesAsJson:
    """The child that converts, during a `with` block; there is none unless the log is JSON."""

    def __init__(self, pid_1: Init) -> None:
        """Start nothing yet."""
        self._init = pid_1
        self._child: Child | None = None
        self._writer = -1

    def __enter__(self) -> int | None:
        """Return the descriptor that GitHub's programs write to; None if they write to stdout."""
        if not log.is_json():
            return None
        lock = memory_file("log")
        log.share(lock)
        reader, self._writer = os.pipe()

        def convert() -> NoReturn:
            close_all_but(0, 1, 2, reader, lock)
            _name_process("gh-runner-log")
            _leave_out_what_is_not_used()
            from entrypoint.lifecycle import log_lines_child  # loads structlog

            log_lines_child.convert(reader)
            os._exit(0)  # a return would write into the file for the answer, which is closed here

        self._child = self._init.fork(convert)
        os.close(reader)
        return self._writer

    def __exit__(self, *_: object) -> None:
        """Let the child read and write the last lines."""
        if self._child is not None:
            _drain(self._init, self._child, self._writer)


def _leave_out_what_is_not_used() -> None:
    """Keep structlog from loading what this child has no use for.

    structlog loads rich where that is installed, to print tracebacks in colour, which takes 35 ms
    of processor time. It names asyncio in methods for coroutines only, and loading that takes 17 ms
    and 4 MB.
    """
    sys.modules["rich"] = None  # type: ignore[assignment] # makes the import fail
    sys.modules["asyncio"] = type(sys)("asyncio")  # an empty module


def _name_process(name: str) -> None:
    # PID 1's children are not dumpable, so a child that is not root may not open this file.
    try:
        with open("/proc/self/comm", "w", encoding="ascii") as file:
            file.write(name)
    except OSError:
        pass


def _drain(pid_1: Init, child: Child, writer: int) -> None:
    """Wait until the child has read and written the last lines.

    The child ends at the end of the pipe. But a process of the job may keep the pipe open. Then
    PID 1 waits until the pipe is empty, and ends the child later with all other processes.
    """
    try:
        look = os.open(f"/proc/self/fd/{writer}", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:  # /proc is not mounted
        look = None
    os.close(writer)
    seconds = _DRAIN_TIME_OF_STOP if pid_1.stop.begun else _DRAIN_TIME
    pid_1.wait_for(
        lambda: child.outcome is not None or (look is not None and _unread(look) == 0),
        time.monotonic() + seconds,
        hurry=True,
        poll=_LOOK_EVERY,
    )
    if look is not None:
        os.close(look)
    pid_1.wait(child, time.monotonic() + min(seconds, _WRITE_TIME), hurry=True)


def _unread(pipe: int) -> int:
    """Return how many bytes are in a pipe (FIONREAD in pipe(7))."""
    import array  # only here, at the end: it loads `collections`

    waiting = array.array("i", [0])
    fcntl.ioctl(pipe, termios.FIONREAD, waiting)
    return waiting[0]
