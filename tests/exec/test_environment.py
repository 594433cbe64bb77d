"""dumb-init's environment variables, and the command's environment."""

import os
import signal

import pytest

from tests.exec.conftest import Start
from tests.exec.harness import victim


@pytest.mark.parametrize(("value", "came"), [("0", "[10]"), ("1", "[10, 15]"), ("", "[10, 15]")])
def test_setsid_variable(start: Start, value: str, came: str) -> None:
    """DUMB_INIT_SETSID=0 means -c; any other value means nothing."""
    started = start(*victim("family"), env=os.environ | {"DUMB_INIT_SETSID": value})
    started.ready()
    started.signal(signal.SIGTERM)
    assert started.rest() == [f"child {came}"]


def test_debug_variable(start: Start) -> None:
    """DUMB_INIT_DEBUG=1 means -v."""
    started = start("sh", "-c", "exit 3", env=os.environ | {"DUMB_INIT_DEBUG": "1"})
    assert started.wait() == 3
    assert "has ended with 3" in started.stderr()


def test_verbose_tells_what_becomes_of_a_signal(start: Start) -> None:
    """With -v each signal is a line on stderr."""
    started = start("-v", "-r", "HUP:0", "-r", "USR1:USR2", "--", *victim("print_signals", 2))
    started.ready()
    started.signal(signal.SIGHUP)
    for signum in (signal.SIGUSR1, signal.SIGTERM):
        started.signal(signum)
        started.line()
    assert started.wait() == 0
    told = started.stderr()
    assert "SIGHUP ignored" in told
    assert "SIGUSR1 passed on as SIGUSR2" in told
    assert "SIGTERM passed on as SIGTERM" in told


def test_it_is_silent_otherwise(start: Start) -> None:
    """Without -v the init writes nothing."""
    started = start("--", "true")
    assert started.wait() == 0
    assert started.stderr() == ""


def test_the_environment_is_passed_through(start: Start) -> None:
    """Every variable reaches the command, also one whose bytes are no UTF-8."""
    odd = os.environb | {b"ODD": b"\xff\n=", b"EMPTY": b""}
    started = start("--", "sh", "-c", 'printf "%s" "$ODD" | od -An -tx1', env=odd)
    assert started.rest() == [" ff 0a 3d"]
