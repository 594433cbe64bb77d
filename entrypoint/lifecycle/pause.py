"""The pause before an end that a new start does not mend: RUNNER_FAILURE_PAUSE.

Docker's restart policies and Swarm start a container again after a fixed time, whatever its exit
code was. Without a pause, a token that GitHub refuses would be tried again every few seconds.
"""

from __future__ import annotations

import time
from collections.abc import Mapping

from entrypoint import log
from entrypoint.errors import ExitCode
from entrypoint.init.pid1 import Init
from entrypoint.settings import parsers

VARIABLE = "RUNNER_FAILURE_PAUSE"
LONGEST = 7 * 86400.0  # seconds; sigtimedwait(2) takes no endless number
_UNTIL_AN_OPERATOR_ACTS = {ExitCode.VERSION, ExitCode.REFUSED, ExitCode.CONFIG}


class Pause:
    """How long this life waits before it ends in vain."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        """Take the variable itself: wrong settings, which are never parsed, need the pause too."""
        try:
            self.seconds = parsers.seconds(environ.get(VARIABLE) or "0")
        except parsers.Problem:
            self.seconds = 0.0

    def wait(self, pid_1: Init, code: ExitCode) -> None:
        """Sleep if only an operator can mend the cause; a stop ends it at once."""
        if not self.seconds or code not in _UNTIL_AN_OPERATOR_ACTS or pid_1.stop.signals:
            return
        log.warning(
            "life.paused",
            f"ends with {int(code)} in {self.seconds:g} s, or at a stop",
            why=f"{VARIABLE}: a new container would end in the same way",
        )
        deadline = time.monotonic() + min(self.seconds, LONGEST)
        pid_1.wait_for(lambda: bool(pid_1.stop.signals), deadline)
