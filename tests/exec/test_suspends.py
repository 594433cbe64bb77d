"""A suspending signal stops the command and the init; SIGCONT continues both."""

import signal

import pytest

from tests.exec.conftest import Start
from tests.exec.harness import is_stopped, victim, wait_until

CONT = str(int(signal.SIGCONT))
suspending = pytest.mark.parametrize("signum", [signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU])


@suspending
def test_both_are_suspended_and_wake(start: Start, signum: int) -> None:
    """First the command stops and then the init, as the shell that started it expects.

    PID 1 cannot be stopped from within its namespace. It goes on and passes SIGCONT on.
    """
    started = start("--", *victim("print_signals", 2))
    started.ready()
    for _ in range(2):
        started.signal(signum)
        if started.is_pid_1:
            wait_until(lambda: is_stopped(started.child))
            assert not is_stopped(started.pid)
        else:
            wait_until(lambda: is_stopped(started.pid))
            assert is_stopped(started.child)
        started.signal(signal.SIGCONT)
        assert started.line() == CONT
    assert started.wait() == 0


@suspending
def test_a_single_child_decides_itself(start: Start, signum: int) -> None:
    """With -c the command gets the suspending signal as it is."""
    started = start("-c", "--", *victim("print_signals", 2))
    started.ready()
    started.signal(signum)
    assert started.line() == str(int(signum))
    wait_until(lambda: is_stopped(started.pid) != started.is_pid_1)
    assert not is_stopped(started.child)
    started.signal(signal.SIGCONT)
    assert started.line() == CONT
    assert started.wait() == 0
