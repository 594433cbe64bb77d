"""A registration that a stop cuts short leaves no runner at GitHub, whenever its request ends."""

from __future__ import annotations

import signal

import pytest

from simulator import Simulator
from tests.life import Life

REGISTER = "/actions/runners/register$"


def test_second_stop_does_not_cut_config_sh_short(life: Life, simulator: Simulator) -> None:
    """A request that is under way would register the runner after we have looked for it."""
    simulator.fault(path=REGISTER, delay=0.7)
    life.start()
    simulator.wait_for("fault")
    life.signal().signal(signal.SIGINT).signal()
    assert life.wait() in (130, 143)
    simulator.wait_for("runner_removed")
    assert simulator.runners() == []


@pytest.mark.parametrize("registration", ["config", "jit"])
def test_registration_that_comes_late_is_waited_for(
    registration: str, life: Life, simulator: Simulator
) -> None:
    """GitHub takes five seconds, longer than config.sh may go on: the runner is deleted then."""
    simulator.fault(path=f"{REGISTER}|/generate-jitconfig", delay=5)
    life.start(RUNNER_REGISTRATION=registration)
    simulator.wait_for("fault")
    assert life.signal().wait() == 143
    simulator.wait_for("runner_removed")
    assert simulator.runners() == []


def test_registration_that_may_still_come_is_told(life: Life, simulator: Simulator) -> None:
    """Exit code 74 with the runner's name: what GitHub does after the last look is unknown."""
    simulator.fault(path=REGISTER, delay=20)
    life.start(RUNNER_STOP_TIMEOUT="4")
    simulator.wait_for("fault")
    assert life.signal().wait() == 74
    assert "may still be registered" in life.error()
