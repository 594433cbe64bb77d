"""Signals can arrive as other signals, or not at all."""

import signal

import pytest

from tests.exec.conftest import Start
from tests.exec.harness import is_stopped, victim, wait_until


@pytest.mark.parametrize(
    "option",
    [
        ["-r", "15:3"],
        ["-r15:3"],
        ["--rewrite", "TERM:QUIT"],
        ["--rewrite=SIGTERM:SIGQUIT"],
        ["-vr", "term:sigquit"],
        ["-r", "15:2", "-r", "15:3"],
    ],
    ids=" ".join,
)
def test_a_signal_is_rewritten(start: Start, option: list[str]) -> None:
    """One signal arrives as another, by number or name; the last option counts."""
    started = start(*option, "--", *victim("print_signals", 2))
    started.ready()
    started.signal(signal.SIGTERM)
    assert started.line() == "3"
    started.signal(signal.SIGINT)
    assert started.line() == "2"


def test_two_signals_can_change_places(start: Start) -> None:
    """A rewritten signal is not rewritten again."""
    started = start("-r", "INT:TERM", "-r", "TERM:INT", "--", *victim("print_signals", 2))
    started.ready()
    for sent, arrives in ((2, "15"), (15, "2")):
        started.signal(sent)
        assert started.line() == arrives


def test_a_signal_rewritten_to_0_is_ignored(start: Start) -> None:
    """A signal can be kept away from the command."""
    started = start("-r", "TERM:0", "--", *victim("print_signals", 1))
    started.ready()
    started.signal(signal.SIGTERM)
    started.signal(signal.SIGRTMIN)  # of two pending signals the lower number comes first
    assert started.rest() == [str(int(signal.SIGRTMIN))]


def test_a_suspending_signal_can_be_rewritten(start: Start) -> None:
    """A suspending signal arrives as the other one, and suspends the init all the same."""
    started = start("-r", "TSTP:HUP", "--", *victim("print_signals", 2))
    started.ready()
    started.signal(signal.SIGTSTP)
    assert started.line() == "1"
    if started.is_pid_1:
        return  # PID 1 cannot be stopped from within its namespace
    wait_until(lambda: is_stopped(started.pid))
    started.signal(signal.SIGCONT)
    assert started.line() == str(int(signal.SIGCONT))
