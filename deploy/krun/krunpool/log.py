"""The log: one event a line."""

from __future__ import annotations

import os
import time
from contextlib import suppress

from krunpool.errors import Problem


class Log:
    """The log: a line has time, level, the microVM's name, and what happened."""

    def __init__(self, target: str, verbose: int) -> None:
        """Write to a descriptor or a path; a Problem if it cannot be opened."""
        try:
            if target.isdigit():
                descriptor = os.dup(int(target))
            else:
                flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
                descriptor = os.open(target, flags, 0o644)
        except OSError as error:
            raise Problem(f"-l: {target} cannot be written: {error.strerror}") from None
        self._descriptor = descriptor
        self._verbose = verbose

    def error(self, text: str, name: str = "") -> None:
        """Log an event that ends a loop."""
        self._write("error", text, name)

    def warning(self, text: str, name: str = "") -> None:
        """Log an event that went wrong."""
        self._write("warning", text, name)

    def info(self, text: str, name: str = "") -> None:
        """Log an event of every life."""
        if self._verbose > 0:
            self._write("info", text, name)

    def debug(self, text: str, name: str = "") -> None:
        """Log a command."""
        if self._verbose > 1:
            self._write("debug", text, name)

    def _write(self, level: str, text: str, name: str) -> None:
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        where = f"{name}: " if name else ""
        with suppress(OSError):  # a log that cannot be written must not end the runners
            os.write(self._descriptor, f"{now} {level}: {where}{text}\n".encode())
