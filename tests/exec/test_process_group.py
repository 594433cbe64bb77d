"""A signal goes to the command's process group, or to the command alone."""

import signal

import pytest

from tests.exec.conftest import Start
from tests.exec.harness import victim


def test_signals_go_to_the_process_group(start: Start) -> None:
    """The command's children get the signal as well."""
    started = start("--", *victim("family"))
    started.ready()
    started.signal(signal.SIGTERM)
    assert started.rest() == ["child [10, 15]"]
    assert started.wait() == 0


@pytest.mark.parametrize("option", ["-c", "--single-child"])
def test_signals_go_to_the_single_child(start: Start, option: str) -> None:
    """With -c the command's children get nothing."""
    started = start(option, "--", *victim("family"))
    started.ready()
    started.signal(signal.SIGTERM)
    assert started.rest() == ["child [10]"]


SHOW = ["sh", "-c", "ps -o pid=,pgid=,sid= -p $$"]


def test_the_command_leads_a_session(start: Start) -> None:
    """The command has a session and a process group of its own."""
    (line,) = start("--", *SHOW).rest()
    pid, group, session = line.split()
    assert pid == group == session


def test_a_single_child_stays_in_the_caller_s_group(start: Start) -> None:
    """With -c the command stays in the session and the group that it was called from."""
    (line,) = start("-c", *SHOW).rest()
    pid, group, session = line.split()
    assert pid not in (group, session)
