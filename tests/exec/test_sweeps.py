"""Processes that the command leaves behind when it ends."""

import time

import pytest

from tests.exec.conftest import Start
from tests.exec.harness import victim

LEFT_BEHIND = 99  # victims/parent.py found processes after the end of the init


@pytest.mark.parametrize("how", ["quick", "slow", "stopped", "counting"])
def test_what_is_left_may_clean_up(start: Start, how: str) -> None:
    """Each gets SIGTERM and time to act on it, also if it is stopped, and no other signal."""
    started = start("--", *victim("leave", how))
    started.ready()
    assert started.rest() == ["cleaned up"]
    assert started.wait() == 5


def test_what_does_not_leave_is_killed(start: Start) -> None:
    """A process that ignores SIGTERM is killed, and the exit code is the command's."""
    started = start("--", *victim("leave", "deaf"))
    started.ready()
    began = time.monotonic()
    assert started.wait() == 5
    assert time.monotonic() - began < 8
    assert started.rest() == []


def test_nothing_is_awaited_if_nobody_is_left(start: Start) -> None:
    """A command that leaves no process behind ends the container at once."""
    began = time.monotonic()
    assert [start("--", "true").wait() for _ in range(5)] == [0] * 5
    assert time.monotonic() - began < 8


def test_a_single_child_s_processes_stay(start: Start) -> None:
    """With -c the processes that the command leaves are not ended: the container is another's."""
    started = start("-c", "--", *victim("leave", "quick"))
    started.ready()
    if started.is_pid_1:
        assert started.rest() == ["cleaned up"]
        assert started.wait() == 5
    else:
        assert started.wait() == LEFT_BEHIND
