"""Signals that come while the init is still starting."""

import signal
import time

import pytest

from simulator.container import field
from tests.exec.conftest import Start
from tests.exec.harness import wait_until

USR1_BIT = 1 << (signal.SIGUSR1 - 1)  # which unshare, unlike SIGTERM, does not block itself


@pytest.mark.parametrize("milliseconds", range(0, 40, 5))
def test_no_stop_is_lost(start: Start, milliseconds: int) -> None:
    """Once env has blocked the signals, a stop ends the command, at whatever moment it comes."""
    started = start("--", "sleep", "60")
    wait_until(lambda: int(field(started.pid, "SigBlk") or "0", 16) & USR1_BIT)
    time.sleep(milliseconds / 1000)
    started.signal(signal.SIGTERM)
    assert started.wait() == 128 + signal.SIGTERM
