"""Signals that come to the init reach the command."""

import signal

from tests.exec.conftest import Start
from tests.exec.harness import victim

SUSPENDING = {signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU}
UNCATCHABLE = {signal.SIGKILL, signal.SIGSTOP}
PASSED_ON = sorted(signal.valid_signals() - SUSPENDING - UNCATCHABLE - {signal.SIGCHLD})


def test_every_signal_is_passed_on(start: Start) -> None:
    """Each signal that can be caught arrives, real-time signals too."""
    started = start("--", *victim("print_signals", len(PASSED_ON)))
    started.ready()
    for signum in PASSED_ON:
        started.signal(signum)
        assert started.line() == str(int(signum))
    assert started.wait() == 0


def test_a_stop_ends_the_command(start: Start) -> None:
    """TERM ends a command that has no handler, as it would without an init."""
    started = start("--", "sh", "-c", "echo 'ready (pid '; exec sleep 60")
    started.ready()
    started.signal(signal.SIGTERM)
    assert started.wait() == 128 + signal.SIGTERM
