"""RUNNER_LOG_FORMAT=json: the lines of GitHub's programs become JSON, too.

They write into a pipe that a child of PID 1 reads (log_lines_child.py). PID 1 does not wake for
them. The child takes whatever comes, also while nobody reads the log, so that a job never waits
for a reader.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

from entrypoint import log
from entrypoint.init.child import memory_file
from entrypoint.init.pid1 import Init

# Seconds that the child has to write what has been said at last. It gives up by itself where nobody
# reads; in a stop there is less time.
_DRAIN_TIME, _DRAIN_TIME_OF_STOP = 20.0, 0.5


@contextmanager
def converted(pid_1: Init) -> Iterator[int | None]:
    """Yield the descriptor that GitHub's programs write to; None where they write to stdout."""
    if not log.is_json():
        yield None
        return
    log.share(memory_file("log"))
    reader, writer = os.pipe()

    def convert() -> bytes:
        from entrypoint.lifecycle import log_lines_child  # loads structlog

        os.close(writer)
        log_lines_child.convert(reader)
        return b""

    child = pid_1.fork(convert)
    os.close(reader)
    try:
        yield writer
    finally:
        os.close(writer)
        seconds = _DRAIN_TIME_OF_STOP if pid_1.stop.begun else _DRAIN_TIME
        pid_1.wait_for(lambda: child.outcome is not None, time.monotonic() + seconds, hurry=True)
