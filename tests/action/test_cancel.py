"""A cancelled step undoes what it has started, in the ten seconds that GitHub gives it."""

from __future__ import annotations

import threading
import time
import urllib.error

import pytest

from simulator import Simulator
from tests.action.conftest import Steps, jit_configurations, until
from tests.action.runner import Listener
from tests.action.stand_in import Ecs

pytestmark = pytest.mark.alone(reason="GitHub kills the step ten seconds after the first signal")


def _hold(ecs: Ecs, operation: str, **what: object) -> threading.Event:
    held = threading.Event()
    ecs.fault(operation, hold=held, **what)
    return held


@pytest.mark.parametrize("after", [False, True])
def test_cancelled_while_ecs_is_asked(
    steps: Steps, ecs: Ecs, simulator: Simulator, after: bool
) -> None:
    """A task whose request was under way is stopped, or its configuration is void."""
    held = _hold(ecs, "ecs run-task", after=after)
    step = steps.start()
    until(lambda: ecs.asked("ecs run-task"))
    begin = time.monotonic()
    step.cancel()
    held.set()
    assert time.monotonic() - begin < 10
    assert step.code == 130, step.output
    assert not simulator.runners()
    until(lambda: ecs.tasks)
    if after:
        assert not ecs.running
    else:
        # ECS has carried out the request after the step had ended. The task ends by itself.
        [jit] = jit_configurations(ecs)
        with pytest.raises(urllib.error.HTTPError):
            Listener(jit).open()


@pytest.mark.parametrize("after", [False, True])
def test_cancelled_while_github_is_asked(
    steps: Steps, ecs: Ecs, simulator: Simulator, after: bool
) -> None:
    """A registration whose answer never came is found by its name, and deleted."""
    simulator.fault(path="generate-jitconfig", hold="it", after=after)
    step = steps.start()
    simulator.wait_for("fault")
    step.cancel()
    assert step.code == 130, step.output
    assert not ecs.tasks
    assert not simulator.runners()
    simulator.release("it")


def test_cancelled_while_it_waits(steps: Steps, ecs: Ecs, simulator: Simulator) -> None:
    """Twenty runners are gone within GitHub's ten seconds."""
    step = steps.start(count="20")
    until(lambda: len(ecs.tasks) == 20)
    step.cancel()
    assert step.code == 130, step.output
    assert not ecs.running
    assert not simulator.runners()
    assert "Taken off GitHub's list: 20; tasks stopped: 20." in step.output


def test_cancelled_when_aws_does_not_answer(steps: Steps, ecs: Ecs, simulator: Simulator) -> None:
    """The runners are taken off the list, and tasks that may still run are named in time."""
    held = _hold(ecs, "ecs stop-task", times=-1)
    step = steps.start()
    until(lambda: ecs.running)
    step.cancel()
    assert step.code == 130, step.output
    assert not simulator.runners()
    assert "there was no time left" in step.output
    held.set()


def test_cancelled_before_anything(steps: Steps, ecs: Ecs, simulator: Simulator) -> None:
    """If nothing was started, the step ends within two seconds."""
    held = _hold(ecs, "ecs describe-task-definition")
    step = steps.start()
    until(lambda: ecs.calls)
    begin = time.monotonic()
    step.cancel()
    assert time.monotonic() - begin < 2
    assert step.code == 130
    assert not simulator.runners()
    held.set()
