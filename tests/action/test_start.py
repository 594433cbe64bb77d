"""`mode: start`, when nothing fails."""

from __future__ import annotations

import itertools
import json
from threading import Event

import pytest

from simulator import Simulator
from tests.action.conftest import RUN_ID, Steps, environment, jit_configurations, until
from tests.action.runner import Listener, register
from tests.action.stand_in import Body, Ecs

Listeners = list[Listener]


def test_a_runner_is_online_when_the_step_ends(
    steps: Steps, ecs: Ecs, simulator: Simulator, listeners: Listeners
) -> None:
    """By default the task gets nothing but a JIT configuration, and GitHub lists its runner."""
    step = steps.run(labels="gpu, big")
    assert step.code == 0, step.output
    [runner] = simulator.runners()
    assert runner["status"] == "online"
    assert runner["name"] == step.outputs["id"]
    [request] = ecs.asked("ecs run-task")
    assert set(environment(request)) == {"RUNNER_IDLE_TIMEOUT", "RUNNER_JITCONFIG"}
    assert environment(request)["RUNNER_IDLE_TIMEOUT"] == "300"
    assert len(listeners) == 1


def test_the_outputs_lead_to_the_runner(
    steps: Steps, ecs: Ecs, simulator: Simulator, listeners: Listeners
) -> None:
    """`runs-on` has the labels of the registration; the outputs name the task as well."""
    step = steps.run(name="ci", task_definition="gh-runner", labels="gpu\nbig,GPU", context="acme")
    [runner] = simulator.runners()
    assert runner["scope"] == "orgs/acme"
    labels = json.loads(step.outputs["runs-on"])
    added = ["self-hosted", "Linux", "X64", "ephemeral", "ci"]
    assert labels == [*added, "gpu", "big", step.outputs["id"]]
    assert [label["name"] for label in runner["labels"]] == labels
    [arn] = ecs.tasks
    assert step.outputs["task-arn"] == arn
    assert json.loads(step.outputs["task-arns"]) == [arn]
    assert arn.endswith("/" + step.outputs["task-id"])
    assert json.loads(step.outputs["runner-ids"]) == [runner["id"]]
    assert step.outputs["ipaddr"].startswith("10.0.1.")
    assert "$252Fgh-runner/log-events/ci$252Frunner$252F" in step.outputs["log-url"]
    assert listeners


def test_each_of_many_is_a_runner_of_its_own(
    steps: Steps, ecs: Ecs, simulator: Simulator, listeners: Listeners
) -> None:
    """Of `count` runners each has its task, configuration and clientToken; one label is shared."""
    step = steps.run(count="12")
    assert step.code == 0, step.output
    requests = ecs.asked("ecs run-task")
    assert len({request["clientToken"] for request in requests}) == 12
    assert len(set(jit_configurations(ecs))) == 12
    assert all(request["count"] == 1 for request in requests)
    runners = simulator.runners()
    assert len({runner["name"] for runner in runners}) == 12
    for runner in runners:
        assert step.outputs["id"] in [label["name"] for label in runner["labels"]]
    assert len(json.loads(step.outputs["task-arns"])) == 12
    assert len(listeners) == 12


def test_github_is_asked_for_one_after_the_other(
    steps: Steps, ecs: Ecs, simulator: Simulator
) -> None:
    """Requests to GitHub that change something are sent one at a time, as GitHub demands."""
    assert steps.run(count="6", wait="none").code == 0
    asked = [item for item in simulator.requests() if "generate-jitconfig" in item["path"]]
    for one, next_one in itertools.pairwise(asked):
        assert one["time"] + one["seconds"] <= next_one["time"]
    assert len(asked) == len(ecs.running) == 6


@pytest.mark.parametrize("wait", ["none", "false"])
def test_without_waiting(steps: Steps, ecs: Ecs, wait: str) -> None:
    """The step ends as soon as ECS has accepted the task."""
    step = steps.run(wait=wait)
    assert step.code == 0, step.output
    assert not ecs.asked("ecs describe-tasks")
    assert step.outputs["task-arn"] in ecs.running


@pytest.mark.parametrize("wait", ["task", "true"])
def test_waiting_for_the_task(steps: Steps, ecs: Ecs, wait: str) -> None:
    """The step ends when the task runs, and GitHub's list does not matter."""
    step = steps.run(wait=wait)
    assert step.code == 0, step.output
    [task] = ecs.tasks.values()
    assert task["lastStatus"] == "RUNNING"


def test_a_task_that_ecs_does_not_know_yet(steps: Steps, ecs: Ecs) -> None:
    """A new task may be missing in ECS's first answers, which are eventually consistent."""
    ecs.unseen = 1
    step = steps.run(wait="task")
    assert step.code == 0, step.output
    assert len(ecs.asked("ecs describe-tasks")) > 1


def test_the_credential_of_the_task(steps: Steps, ecs: Ecs) -> None:
    """Without a token the runner uses the definition's own secret, and gets the settings."""
    ecs.register(secrets=["GITHUB_PERSONAL_TOKEN"])
    step = steps.run(token="", group="builds", labels="gpu", workdir="w", **{"idle-timeout": "60"})
    assert step.code == 0, step.output
    [request] = ecs.asked("ecs run-task")
    assert environment(request) == {
        "RUNNER_IDLE_TIMEOUT": "60",
        "RUNNER_NAME": step.outputs["id"],
        "RUNNER_LABELS": ",".join(json.loads(step.outputs["runs-on"])),
        "RUNNER_WORKDIR": "w",
        "RUNNER_GROUP": "builds",
        "GITHUB_OWNER": "acme",
        "GITHUB_REPOSITORY": "shop",
    }


def test_waiting_for_the_credential_of_the_task(
    steps: Steps, ecs: Ecs, simulator: Simulator
) -> None:
    """The runner registers itself, and is found by the label of the launch."""
    ecs.register(secrets=["GITHUB_PERSONAL_TOKEN"])

    def run(_task: Body, request: Body) -> None:
        labels = environment(request)["RUNNER_LABELS"].split(",")
        register(simulator, "any-name", labels).open()

    ecs.on_run = run
    register(simulator, "other", ["self-hosted"]).open()
    step = steps.run()
    assert step.code == 0, step.output
    assert "1 online" in step.output
    assert "RUNNER_JITCONFIG" not in environment(ecs.asked("ecs run-task")[0])
    assert json.loads(step.outputs["runner-ids"]) == []


def test_the_scope_of_the_task(steps: Steps, ecs: Ecs) -> None:
    """A task definition's own repository is kept, unless the workflow names another one."""
    ecs.register(
        secrets=["GITHUB_PERSONAL_TOKEN"], environment={"GITHUB_URL": "https://github.com/acme"}
    )
    assert steps.run(token="").code == 0
    assert steps.run(token="", context="enterprises/big").code == 0
    first, second = map(environment, ecs.asked("ecs run-task"))
    assert not [name for name in first if name.startswith("GITHUB_")]
    assert second["GITHUB_ENTERPRISE"] == "big"


def test_a_repeated_step_is_harmless(
    steps: Steps, ecs: Ecs, simulator: Simulator, listeners: Listeners
) -> None:
    """The same step of the same job finds what it has started before; another step does not."""
    first = steps.run(count="2")
    again = steps.run(count="2", timeout="60")
    assert (first.code, again.code) == (0, 0), again.output
    assert again.outputs == first.outputs
    assert len(simulator.runners()) == len(ecs.tasks) == 2
    other = steps.run(count="2", labels="other")
    assert other.outputs["id"] != first.outputs["id"]
    matrix = steps.where(GH_RUNNER_JOB_INDEX="1").run(count="2")
    assert matrix.outputs["id"] not in (first.outputs["id"], other.outputs["id"])
    assert len(listeners) == 6


def test_a_step_that_was_killed_is_taken_up(
    steps: Steps, ecs: Ecs, simulator: Simulator, listeners: Listeners
) -> None:
    """What a killed step has left is used or removed, and no second task is started."""
    held = Event()
    ecs.fault("ecs run-task", hold=held, after=True)
    killed = steps.start()
    until(lambda: ecs.tasks)
    assert killed.process is not None
    killed.process.kill()
    killed.wait()
    held.set()
    again = steps.run()
    assert again.code == 0, again.output
    [running] = ecs.running
    assert running == again.outputs["task-arn"]
    [runner] = simulator.runners()
    assert json.loads(again.outputs["runner-ids"]) == [runner["id"]]
    assert listeners
    # A killed step cannot delete the files of its requests.
    for path in steps.temporary.glob("gh-runner-*/request-*"):
        path.unlink()
        path.parent.rmdir()


def test_how_the_task_is_placed(steps: Steps, ecs: Ecs) -> None:
    """Inputs decide first, then a definition for Fargate, then the cluster's default."""
    ecs.register("ec2", requiresCompatibilities=["EC2"])
    for inputs in (
        {},
        {"launch-type": "ec2"},
        {"capacity-provider": "FARGATE_SPOT:3, FARGATE:1:1"},
        {"task-definition": "ec2"},
    ):
        step = steps.run(wait="none", **inputs)
        assert step.code == 0, step.output
    default, ec2, providers, cluster = ecs.asked("ecs run-task")
    assert default["launchType"] == "FARGATE"
    assert ec2["launchType"] == "EC2"
    assert providers["capacityProviderStrategy"] == [
        {"capacityProvider": "FARGATE_SPOT", "weight": 3},
        {"capacityProvider": "FARGATE", "weight": 1, "base": 1},
    ]
    assert "launchType" not in providers
    assert not {"launchType", "capacityProviderStrategy"} & set(cluster)


def test_what_the_task_is_called_and_sized(steps: Steps, ecs: Ecs) -> None:
    """The request has tags, size and the mark of the run."""
    step = steps.run(
        wait="none",
        name="ci",
        cpu="2048",
        memory="4096",
        tags="team=build\nowner=a=b",
        **{"task-definition": "gh-runner"},
    )
    assert step.code == 0, step.output
    [request] = ecs.asked("ecs run-task")
    assert {item["key"]: item["value"] for item in request["tags"]} == {
        "Name": "ci",
        "team": "build",
        "owner": "a=b",
    }
    assert (request["overrides"]["cpu"], request["overrides"]["memory"]) == ("2048", "4096")
    assert request["startedBy"] == f"gh-runner/{RUN_ID}/" + step.outputs["id"][-8:]


def test_which_container_is_the_runner(steps: Steps, ecs: Ecs) -> None:
    """The container is the named one, `runner`, the one called like the name, or the only one."""
    ecs.register("by-name", container="by-name")
    ecs.register("only", container="something")
    for inputs, container in (
        ({"name": "by-name"}, "by-name"),
        ({"task-definition": "only"}, "something"),
        ({"container": "runner"}, "runner"),
    ):
        assert steps.run(wait="none", **inputs).code == 0
        overrides = ecs.asked("ecs run-task")[-1]["overrides"]["containerOverrides"]
        assert [item["name"] for item in overrides] == [container]


def test_an_arm_task_has_its_label(steps: Steps, ecs: Ecs) -> None:
    """The label of the processor is the task definition's."""
    ecs.register(runtimePlatform={"cpuArchitecture": "ARM64"})
    step = steps.run(wait="none")
    assert "ARM64" in json.loads(step.outputs["runs-on"])


def test_debug_shows_what_is_asked(steps: Steps, ecs: Ecs, listeners: Listeners) -> None:
    """`debug: true` prints the requests without secrets, which the fixture `steps` checks."""
    step = steps.run(debug="true")
    assert "aws ecs run-task: 0" in step.output
    assert "POST /repos/acme/shop/actions/runners/generate-jitconfig: 201" in step.output
    assert ecs.running
    assert listeners
