"""`mode: stop` ends what an earlier step has started, in whatever state it is."""

from __future__ import annotations

import json

from simulator import Simulator
from tests.action.conftest import Steps
from tests.action.runner import Listener
from tests.action.stand_in import Ecs

Listeners = list[Listener]


def test_by_the_outputs(steps: Steps, ecs: Ecs, simulator: Simulator, listeners: Listeners) -> None:
    """With all outputs of the first step `stop` has nothing to look for."""
    start = steps.run(count="3")
    other = steps.run(name="other", task_definition="gh-runner")
    names = ("id", "task-arns", "runner-ids")
    stop = steps.run(mode="stop", **{name: start.outputs[name] for name in names})
    assert stop.code == 0, stop.output
    assert ecs.running == json.loads(other.outputs["task-arns"])
    assert [runner["name"] for runner in simulator.runners()] == [other.outputs["id"]]
    assert "Taken off GitHub's list: 3; tasks stopped: 3." in stop.output
    assert not ecs.asked("ecs list-tasks")
    assert len(listeners) == 4


def test_by_the_id(steps: Steps, ecs: Ecs, simulator: Simulator, listeners: Listeners) -> None:
    """The id alone is enough to find tasks and registrations."""
    start = steps.run(count="2")
    steps.run(name="other", task_definition="gh-runner")
    stop = steps.run(mode="stop", id=start.outputs["id"])
    assert stop.code == 0, stop.output
    assert len(ecs.running) == len(simulator.runners()) == 1
    assert listeners


def test_without_anything(
    steps: Steps, ecs: Ecs, simulator: Simulator, listeners: Listeners
) -> None:
    """Without outputs, as after a machine's loss, everything that this run started is stopped."""
    steps.run(count="2")
    another_run = steps.where(GITHUB_RUN_ID="78")
    another_run.run()
    stop = steps.run(mode="stop")
    assert stop.code == 0, stop.output
    assert len(ecs.running) == len(simulator.runners()) == 1
    assert another_run.run(mode="stop").code == 0
    assert not ecs.running
    assert not simulator.runners()
    assert listeners


def test_twice(steps: Steps, ecs: Ecs, simulator: Simulator, listeners: Listeners) -> None:
    """Stopping twice is no error."""
    start = steps.run()
    inputs = {name: start.outputs[name] for name in ("id", "task-arns", "runner-ids")}
    assert steps.run(mode="stop", **inputs).code == 0
    again = steps.run(mode="stop", **inputs)
    assert again.code == 0, again.output
    assert not ecs.running
    assert not simulator.runners()
    assert listeners


def test_of_a_launch_that_never_was(steps: Steps, ecs: Ecs) -> None:
    """`if: always()` also runs `stop` after a launch that failed, whose outputs are empty."""
    stop = steps.run(mode="stop", **{"id": "", "task-arns": "", "runner-ids": ""})
    assert stop.code == 0, stop.output
    assert "tasks stopped: 0" in stop.output
    empty = steps.run(mode="stop", **{"id": "x-12345678", "task-arns": "[]", "runner-ids": "[]"})
    assert empty.code == 0, empty.output
    assert not ecs.tasks


def test_a_busy_runner(steps: Steps, ecs: Ecs, simulator: Simulator, listeners: Listeners) -> None:
    """A runner that is named is stopped even in a job; without a name, a busy one is left alone."""
    start = steps.run()
    simulator.queue_job(labels=["self-hosted"])
    listeners[0].take_job()
    assert steps.run(mode="stop").code == 0
    assert ecs.running
    stop = steps.run(mode="stop", id=start.outputs["id"])
    assert stop.code == 0, stop.output
    assert not ecs.running
    assert "a job runs there" in stop.output


def test_without_a_token(
    steps: Steps, ecs: Ecs, simulator: Simulator, listeners: Listeners
) -> None:
    """Without a token tasks are stopped, and a notice says that runners stay on the list."""
    start = steps.run()
    stop = steps.run(mode="stop", token="", id=start.outputs["id"])
    assert stop.code == 0, stop.output
    assert not ecs.running
    assert "::notice title=token::" in stop.output
    assert simulator.runners()
    assert listeners


def test_refused(steps: Steps, ecs: Ecs, listeners: Listeners) -> None:
    """If a task cannot be stopped, the step fails with its ARN."""
    start = steps.run()
    ecs.fault("ecs stop-task", error=("ClientException", "no"), times=-1)
    stop = steps.run(mode="stop", **{"task-arns": start.outputs["task-arns"]})
    assert stop.code == 1
    assert start.outputs["task-arn"] in stop.output.replace("%3A", ":")
    assert listeners


def test_a_cluster_that_does_not_exist(steps: Steps) -> None:
    """A misspelt cluster is an error of `stop`, too."""
    stop = steps.run(mode="stop", cluster="nowhere", id="x-12345678")
    assert stop.code == 1
    [error] = stop.errors
    assert error.startswith("cluster: ")
