"""Workflows for major0/gh-ecs-runner and PasseiDireto/gh-runner-task-action work unchanged."""

from __future__ import annotations

import json
from pathlib import Path

from simulator import Simulator
from tests.action.conftest import TOKEN, Steps, environment
from tests.action.runner import Listener
from tests.action.stand_in import Ecs
from tests.action.test_refused import GROUP, SUBNET

Listeners = list[Listener]
OURS = {"RUNNER_IDLE_TIMEOUT", "RUNNER_JITCONFIG"}


def test_major0(steps: Steps, ecs: Ecs, simulator: Simulator, listeners: Listeners) -> None:
    """The example in its README: family and container have the runner's name."""
    tag = [{"Key": "placement", "Value": "ecs"}]
    ecs.subnets, ecs.groups = [{**SUBNET, "Tags": tag}], [GROUP]
    ecs.register("techops-runner", container="techops-runner", networkMode="awsvpc")
    step = steps.run(
        cluster="",
        name="techops-runner",
        labels="dev",
        **{"subnets-tag": "placement:ecs", "security-groups": "out", "launch-type": "FARGATE"},
    )
    assert step.code == 0, step.output
    [request] = ecs.asked("ecs run-task")
    assert request["cluster"] == "default"
    assert set(environment(request)) == OURS
    assert request["networkConfiguration"]["awsvpcConfiguration"]["securityGroups"] == ["sg-1"]
    # That job's runs-on has these labels and the id.
    wanted = {"self-hosted", "Linux", "X64", "ephemeral", "dev", step.outputs["id"]}
    [runner] = simulator.runners()
    assert wanted <= {label["name"] for label in runner["labels"]}
    assert listeners


def test_passei_direto(steps: Steps, ecs: Ecs, simulator: Simulator, listeners: Listeners) -> None:
    """The example in its README: its own name for the token, EC2 machines, several tasks."""
    ecs.register("my-task-def", requiresCompatibilities=["EC2"])
    step = steps.run(
        token="", github_pat=TOKEN, task_definition="my-task-def", task_count="3", wait="true"
    )
    assert step.code == 0, step.output
    requests = ecs.asked("ecs run-task")
    assert len(requests) == len(listeners) == len(simulator.runners()) == 3
    for request in requests:
        assert set(environment(request)) == OURS
        assert not {"launchType", "capacityProviderStrategy"} & set(request)


def test_passei_direto_with_a_provider(steps: Steps, ecs: Ecs, listeners: Listeners) -> None:
    """The capacity provider is the cluster's; the default task definition is gh-runner."""
    step = steps.run(token="", github_pat=TOKEN, capacity_provider="gh-runner-automanaged")
    assert step.code == 0, step.output
    [request] = ecs.asked("ecs run-task")
    assert request["capacityProviderStrategy"] == [{"capacityProvider": "gh-runner-automanaged"}]
    assert request["taskDefinition"].endswith("task-definition/gh-runner:1")
    assert listeners


def test_passei_direto_finds_its_file(steps: Steps, ecs: Ecs, tmp_path: Path) -> None:
    """Its file of parameters is read by default, if the token has its name, too."""
    body = {"overrides": {"memory": "4096"}, "tags": [{"key": "team", "value": "x"}]}
    (tmp_path / "task-params.json").write_text(json.dumps(body))
    for token in ("token", "github_pat"):
        inputs = {"token": "", token: TOKEN, "labels": token}
        assert steps.run(wait="false", **inputs).code == 0
    plain, theirs = ecs.asked("ecs run-task")
    assert "memory" not in plain["overrides"]
    assert theirs["overrides"]["memory"] == "4096"
