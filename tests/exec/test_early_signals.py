"""Signals that come while the init starts."""

import signal
import time

import pytest

from simulator.container import is_started
from tests.exec.conftest import Start
from tests.exec.harness import PROGRAM, wait_until


@pytest.mark.parametrize("milliseconds", range(0, 40, 5))
def test_no_stop_is_lost(start: Start, milliseconds: int) -> None:
    """Once env has blocked the signals, a stop at any moment ends the command."""
    started = start("--", "sleep", "60")
    wait_until(lambda: is_started(started.pid, PROGRAM))
    time.sleep(milliseconds / 1000)
    started.signal(signal.SIGTERM)
    assert started.wait() == 128 + signal.SIGTERM
