"""Failures on the way: the step waits where that helps, and undoes its work otherwise."""

from __future__ import annotations

import json
import time

import pytest

from simulator import Simulator
from tests.action.conftest import Steps, environment
from tests.action.runner import Listener
from tests.action.stand_in import Body, Ecs
from tests.action.test_refused import refused

Listeners = list[Listener]


@pytest.mark.parametrize(
    "reason",
    ["RESOURCE:MEMORY", "AGENT", "Capacity is unavailable at this time. Please try again later"],
)
def test_capacity_is_waited_for(steps: Steps, ecs: Ecs, listeners: Listeners, reason: str) -> None:
    """A lack of capacity is waited for: the same registration gets its task at a later try."""
    ecs.fault("ecs run-task", failures=[{"reason": reason}])
    step = steps.run()
    assert step.code == 0, step.output
    first, second = ecs.asked("ecs run-task")
    assert first["clientToken"] != second["clientToken"]
    assert environment(first) == environment(second)
    assert f"ECS has no room: {reason}" in step.output
    assert listeners


def test_capacity_that_never_comes(steps: Steps, ecs: Ecs, simulator: Simulator) -> None:
    """If capacity never comes, the error has the reason, and nothing stays registered."""
    ecs.fault("ecs run-task", failures=[{"reason": "RESOURCE:CPU"}], times=-1)
    error = refused(steps.run(timeout="3"), ecs, simulator)
    assert error.startswith("timeout: ")
    assert "RESOURCE:CPU" in error


def test_a_task_that_is_stopped_for_lack_of_room(
    steps: Steps, ecs: Ecs, listeners: Listeners
) -> None:
    """If Fargate stops a task for lack of capacity before it ran, another one is started."""
    go_online = ecs.on_run

    def run(task: Body, request: Body) -> None:
        if len(ecs.tasks) == 1:
            reason = "Capacity is unavailable at this time."
            ecs.end(task["taskArn"], stopCode="TaskFailedToStart", stoppedReason=reason)
        else:
            go_online(task, request)

    ecs.on_run = run
    step = steps.run()
    assert step.code == 0, step.output
    assert (len(ecs.tasks), len(listeners)) == (2, 1)
    assert step.outputs["task-arn"] == list(ecs.tasks)[1]


def test_a_lost_answer_starts_one_task(steps: Steps, ecs: Ecs, listeners: Listeners) -> None:
    """A request without an answer is repeated with the same clientToken, and starts one task."""
    ecs.fault("ecs run-task", error=("ServerException", "Internal"), after=True)
    step = steps.run()
    assert step.code == 0, step.output
    assert len(ecs.asked("ecs run-task")) == 2
    assert len(ecs.tasks) == len(listeners) == 1


def test_a_lost_answer_registers_one_runner(
    steps: Steps, ecs: Ecs, simulator: Simulator, listeners: Listeners
) -> None:
    """If a registration's answer is lost, the repeated request gets 409; one runner is left."""
    simulator.fault(path="generate-jitconfig", after=True, status=502)
    step = steps.run()
    assert step.code == 0, step.output
    [runner] = simulator.runners()
    assert json.loads(step.outputs["runner-ids"]) == [runner["id"]]
    assert ecs.running
    assert listeners


def test_a_secondary_limit_is_kept(
    steps: Steps, ecs: Ecs, simulator: Simulator, listeners: Listeners
) -> None:
    """GitHub's Retry-After is obeyed, if the time-out allows."""
    limit = {"message": "You have exceeded a secondary rate limit"}
    simulator.fault(
        path="generate-jitconfig", skip=1, status=403, body=limit, headers={"retry-after": "2"}
    )
    begin = time.monotonic()
    step = steps.run(count="3")
    assert step.code == 0, step.output
    assert time.monotonic() - begin > 2
    assert len(simulator.runners()) == len(ecs.running) == len(listeners) == 3


@pytest.mark.parametrize("where", ["github", "ecs"])
def test_one_of_many_fails(
    steps: Steps, ecs: Ecs, simulator: Simulator, listeners: Listeners, where: str
) -> None:
    """If one runner fails, the tasks of the others are stopped, and their runners removed."""
    if where == "github":
        simulator.fault(path="generate-jitconfig", skip=6, refusal="bad-credentials")
    else:
        error = ("ClientException", "You've reached the limit on the number of tasks")
        ecs.fault("ecs run-task", skip=6, error=error)
    step = steps.run(count="10")
    refused(step, ecs, simulator)
    assert len(ecs.tasks) >= 5
    assert "left behind" not in step.output
    assert listeners


def test_a_busy_runner_is_left_alone(
    steps: Steps, ecs: Ecs, simulator: Simulator, listeners: Listeners
) -> None:
    """If another runner cannot be started, a busy one keeps its job."""
    go_online = ecs.on_run

    def run(task: Body, request: Body) -> None:
        go_online(task, request)
        if len(listeners) == 1:
            simulator.queue_job(labels=["self-hosted"])
            listeners[0].take_job()

    ecs.on_run = run
    ecs.fault("ecs run-task", skip=1, failures=[{"reason": "RESOURCE:CPU"}], times=-1)
    step = steps.run(count="2", timeout="5")
    assert step.code == 1
    assert "a job runs there" in step.output
    assert len(ecs.running) == 1
    [runner] = simulator.runners()
    assert runner["busy"]


@pytest.mark.parametrize(("code", "meaning"), [(78, "the settings are wrong"), (0, "one job ran")])
def test_a_task_that_ends_too_early(
    steps: Steps, ecs: Ecs, simulator: Simulator, code: int, meaning: str
) -> None:
    """The error has ECS's reason, the meaning of the exit code, and the end of the log."""

    def run(task: Body, _request: Body) -> None:
        stream = f"ci/runner/{task['taskArn'].rpartition('/')[2]}"
        ecs.logs["/gh-runner", stream] = ["::error::forged", "the last words"]
        ecs.end(task["taskArn"], code, stoppedReason="Essential container in task exited")

    ecs.on_run = run
    error = refused(steps.run(), ecs, simulator)
    for words in ("Essential container", f"exit code {code}: {meaning}", "the last words"):
        assert words in error


def test_a_log_that_may_not_be_read(steps: Steps, ecs: Ecs, simulator: Simulator) -> None:
    """Without the right to read the log the error has everything else."""
    ecs.on_run = lambda task, _request: ecs.end(task["taskArn"], 76)
    ecs.fault("logs get-log-events", error=("ThrottlingException", "Rate exceeded"))
    error = refused(steps.run(), ecs, simulator)
    assert "exit code 76" in error
    assert "its log cannot be read" in error


def test_a_runner_that_never_comes(steps: Steps, ecs: Ecs, simulator: Simulator) -> None:
    """If a task runs and its runner never comes, the step fails, and undoes both."""
    error = refused(steps.run(timeout="4"), ecs, simulator)
    assert "1 of 1 tasks were running and 0 runners were seen online" in error


def test_stopping_a_task_that_ecs_does_not_know_yet(
    steps: Steps, ecs: Ecs, simulator: Simulator
) -> None:
    """StopTask is repeated if ECS does not know a new task yet."""
    ecs.unseen = 2
    simulator.fault(path="generate-jitconfig", skip=1, refusal="bad-credentials")
    refused(steps.run(count="2"), ecs, simulator)
    assert len(ecs.tasks) == 1


def test_what_cannot_be_taken_back_is_named(steps: Steps, ecs: Ecs, simulator: Simulator) -> None:
    """If AWS and GitHub refuse the clean-up, the error names ids and ARNs."""
    ecs.fault("ecs stop-task", error=("AccessDeniedException", "not authorized"), times=-1)
    simulator.fault(method="DELETE", times=0, refusal="bad-credentials")
    step = steps.run(timeout="3")
    assert step.code == 1
    [arn] = ecs.running
    [runner] = simulator.runners()
    assert "::warning title=left behind::" in step.output
    assert arn in step.output.replace("%3A", ":")
    assert f"(id {runner['id']})" in step.output


def test_network_troubles_with_github(
    steps: Steps, simulator: Simulator, listeners: Listeners
) -> None:
    """A connection that is reset is tried again."""
    simulator.fault(path="generate-jitconfig", reset=True)
    simulator.fault(path=r"runners/\d+", reset=True)
    step = steps.run()
    assert step.code == 0, step.output
    assert listeners


def test_a_redirect_does_not_get_the_token(steps: Steps, ecs: Ecs, simulator: Simulator) -> None:
    """A redirect to another host is an error; the token is not sent there."""
    elsewhere = simulator.url.replace("127.0.0.1", "localhost")
    location = f"{elsewhere}/repos/acme/stolen/actions/runners/generate-jitconfig"
    simulator.fault(path="generate-jitconfig", status=307, headers={"location": location}, body={})
    refused(steps.run(), ecs, simulator)
    assert not [item for item in simulator.requests() if "stolen" in item["path"]]


def test_a_renamed_repository_is_followed(
    steps: Steps, simulator: Simulator, listeners: Listeners
) -> None:
    """A redirect that stays with GitHub is followed, with the same method."""
    path = "/repos/acme/new/actions/runners/generate-jitconfig"
    simulator.fault(path="shop", status=307, headers={"location": path}, body={})
    step = steps.run(wait="task")
    assert step.code == 0, step.output
    [runner] = simulator.runners()
    assert runner["scope"] == "repos/acme/new"
    assert listeners
