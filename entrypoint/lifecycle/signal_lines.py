"""What the log says about the signals that come to PID 1."""

from __future__ import annotations

from entrypoint import log
from entrypoint.init.signals import signal_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from entrypoint.lifecycle.figures import Figures


class StopSignals:
    """Logs the first signal that stops the runner, and the second one."""

    def __init__(self, figures: Figures) -> None:
        """Begin without a signal; the time of the first one is marked in `figures`."""
        self._figures, self._count = figures, 0

    def __call__(self, signum: int) -> None:
        """Take in a signal."""
        self._count += 1
        name = signal_name(signum)
        if self._count == 1:
            self._figures.mark("stop_requested")
            log.info("stop.requested", "stopping", signal=name)
        elif self._count == 2:
            log.info("stop.hurried", "another stop has come: gh-runner hurries", signal=name)


class OtherSignals:
    """Warns once of a signal that an engine may have sent as its stop signal; it stops nothing.

    Other signals cause no warning: PID 1 uses SIGIO itself, and a terminal sends SIGWINCH.
    """

    _NAMES = ("SIGHUP", "SIGQUIT", "SIGABRT", "SIGUSR1", "SIGUSR2", "SIGPWR")

    def __init__(self) -> None:
        """Begin without a warning."""
        self._is_told = False

    def __call__(self, signum: int) -> None:
        """Take in a signal."""
        name = signal_name(signum)
        if self._is_told or not (name in self._NAMES or name.startswith("signal ")):
            return
        self._is_told = True
        log.warning(
            "signal.ignored",
            f"{name} does not stop this container",
            hint="stop it by SIGTERM or SIGINT: no other --stop-signal (STOPSIGNAL, stop_signal)",
        )
