"""The real `aws` command takes the action's requests; the action reads its answers and errors."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from simulator import Simulator
from tests.action.conftest import Steps, environment
from tests.action.runner import Listener
from tests.action.stand_in import Ecs

Listeners = list[Listener]
AWS = Path(sys.executable).with_name("aws")


@pytest.fixture
def real(steps: Steps, tmp_path: Path) -> Steps:
    """Make steps with the AWS CLI of the project's environment."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "aws").symlink_to(AWS)
    (tmp_path / "bin" / "python3").symlink_to(shutil.which("python3") or sys.executable)
    return steps.where(PATH=f"{tmp_path / 'bin'}:/usr/bin:/bin")


def test_a_runner_comes_and_goes(
    real: Steps, ecs: Ecs, simulator: Simulator, listeners: Listeners
) -> None:
    """A runner is started, waited for and stopped through the real command."""
    start = real.run()
    assert start.code == 0, start.output
    [request] = ecs.asked("ecs run-task")
    assert environment(request)["RUNNER_JITCONFIG"]
    stop = real.run(mode="stop", id=start.outputs["id"])
    assert stop.code == 0, stop.output
    assert not ecs.running
    assert not simulator.runners()
    assert listeners


@pytest.mark.parametrize(
    ("environ", "inputs", "told"),
    [
        ({"AWS_ACCESS_KEY_ID": ""}, {}, "AWS credentials: "),
        ({"AWS_REGION": ""}, {}, "region: "),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, {"timeout": "20"}, "Could not connect"),
        ({}, {"cluster": "nowhere"}, "cluster: ecs run-task: Cluster not found."),
        ({}, {"task-definition": "x"}, "task-definition: 'x' cannot be used: Unable to describe"),
    ],
    ids=["credentials", "region", "network", "cluster", "task-definition"],
)
def test_refusals(
    real: Steps,
    simulator: Simulator,
    environ: dict[str, str],
    inputs: dict[str, str],
    told: str,
) -> None:
    """The command's own failures and AWS's refusals give different errors."""
    step = real.where(AWS_EC2_METADATA_DISABLED="true", AWS_MAX_ATTEMPTS="1", **environ)
    done = step.run(**inputs)
    assert done.code == 1
    [error] = done.errors
    assert told in error
    assert not simulator.runners()


def test_the_stand_in_for_the_command_says_the_same(real: Steps, steps: Steps, ecs: Ecs) -> None:
    """The stand-in that most tests use gives the same errors and the same requests."""
    errors = []
    for maker in (real, steps):
        step = maker.run(cluster="nowhere")
        errors.append(step.errors)
    assert errors[0] == errors[1]
    first, second = ecs.asked("ecs describe-task-definition")
    assert first == second
