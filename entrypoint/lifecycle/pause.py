"""RUNNER_FAILURE_PAUSE: wait before an end after which a new start would fail in the same way.

Docker's restart policies and Swarm start a container again after a fixed time, whatever its exit
code was. Without a pause, a token that GitHub refuses would be tried again every few seconds.
"""

from __future__ import annotations

import time

from entrypoint import log
from entrypoint.errors import ExitCode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from entrypoint.init.pid1 import Init

VARIABLE = "RUNNER_FAILURE_PAUSE"
LONGEST = 7 * 86400.0  # seconds; sigtimedwait(2) takes no infinite time
_UNTIL_AN_OPERATOR_ACTS = {ExitCode.VERSION, ExitCode.REFUSED, ExitCode.CONFIG}


class Pause:
    """The pause of this life, in seconds."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        """Read the variable itself: the pause also counts if the settings are wrong."""
        self._given = environ.get(VARIABLE) or "0"
        self.seconds: float | None = None  # not known before the settings are parsed

    def wait(self, pid_1: Init, code: ExitCode) -> None:
        """Wait if only an operator can remove the cause; a stop ends the wait."""
        seconds = _parsed(self._given) if self.seconds is None else self.seconds
        if not seconds or code not in _UNTIL_AN_OPERATOR_ACTS or pid_1.stop.signals:
            return
        log.warning(
            "life.paused",
            f"ends with {int(code)} in {seconds:g} s, or at a stop",
            why=f"{VARIABLE}: a new container would end in the same way",
        )
        deadline = time.monotonic() + min(seconds, LONGEST)
        pid_1.wait_for(lambda: bool(pid_1.stop.signals), deadline)


def _parsed(given: str) -> float:
    from entrypoint.settings import parsers  # only here, because PID 1 gets parsed settings

    try:
        return parsers.seconds(given)
    except parsers.Problem:
        return 0.0
