"""A cancelled step: SIGINT comes first, SIGTERM 7.5 s later, SIGKILL 2.5 s after that.

GitHub's machine sends these to the step's process only. The clean-up has to end before the last.
"""

from __future__ import annotations

import asyncio
import signal
import time
from typing import Any, Coroutine

from action.errors import Problem, Stopped

KILLED_AFTER = 10.0  # seconds after the first signal
_MARGIN = 1.2


class Stop:
    """Whether the step is cancelled, and since when."""

    def __init__(self) -> None:
        """Handle SIGINT and SIGTERM from now on; needs the running event loop."""
        self._event = asyncio.Event()
        self.signum = 0
        self._at = 0.0
        loop = asyncio.get_running_loop()
        for signum in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(signum, self._note, signum)

    def _note(self, signum: int) -> None:
        if not self.signum:
            self.signum, self._at = signum, time.monotonic()
            self._event.set()

    def clean_up_deadline(self, otherwise: float) -> float:
        """Return when a clean-up must end: before the SIGKILL, or in `otherwise` seconds."""
        if self.signum:
            return self._at + KILLED_AFTER - _MARGIN
        return time.monotonic() + otherwise

    async def interrupts(self, work: Coroutine[Any, Any, None], deadline: float) -> None:
        """Run the work; Stopped if a signal comes first, Problem at the deadline."""
        task = asyncio.ensure_future(work)
        signalled = asyncio.ensure_future(self._event.wait())
        timeout = max(0.0, deadline - time.monotonic())
        await asyncio.wait({task, signalled}, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        signalled.cancel()
        if task.done() and not self.signum:
            return task.result()
        task.cancel()
        await asyncio.wait({task})
        if not task.cancelled():
            task.exception()  # asyncio would print an exception that is never asked for
        if self.signum:
            raise Stopped
        raise Problem("timeout", "The time is over.")
