"""Functions that are called in a process of their own."""

from __future__ import annotations

import os
import time

from entrypoint import call
from entrypoint.init.pid1 import Init
from tests.unit.init.test_pid1 import alone, descriptors, sleep_forever, within


@alone
def test_a_call_that_takes_too_long_leaves_nothing_open() -> None:
    """Calls that run out of time leave no descriptor open, however many they are."""
    pid_1 = Init()
    before = descriptors()
    for _ in range(3):
        assert call.wait(pid_1, sleep_forever, time.monotonic()) is None
    assert descriptors() == before


@alone
def test_a_call_that_ends_in_time_leaves_nothing_open() -> None:
    """The result is returned, and the memory file is closed."""
    pid_1 = Init()
    before = descriptors()
    assert call.wait(pid_1, os.getppid, within(10)) == os.getpid()
    assert descriptors() == before
