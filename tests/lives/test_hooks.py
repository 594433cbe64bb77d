"""Hooks of GitHub's runner that an operator names: passed on, and checked before anything else."""

from __future__ import annotations

import pytest

from simulator import Simulator
from tests.support.life import Life

STARTED, COMPLETED = "ACTIONS_RUNNER_HOOK_JOB_STARTED", "ACTIONS_RUNNER_HOOK_JOB_COMPLETED"
CONTAINER, REQUIRE = "ACTIONS_RUNNER_CONTAINER_HOOKS", "ACTIONS_RUNNER_REQUIRE_JOB_CONTAINER"


@pytest.mark.parametrize("credential", ["until-exit", "until-job"])
def test_hooks_run_around_the_job(life: Life, simulator: Simulator, credential: str) -> None:
    """Both hooks run as the job's user, one before the first step and one after the last."""
    for variable, name in ((STARTED, "started.sh"), (COMPLETED, "completed.sh")):
        (life.directory / name).write_text(f"echo {name} $(id -un)")
        life.env[variable] = str(life.directory / name)
    job = simulator.queue_job("echo step")
    assert life.start(RUNNER_CREDENTIAL=credential).wait() == 0, life.output
    said = "started.sh nobody\nstep\ncompleted.sh nobody\n"
    assert simulator.job(job["id"])["log"] == said


def test_hooks_that_would_fail_every_job(life: Life, simulator: Simulator) -> None:
    """One message names all bad hooks and what is wrong with each, and nothing is registered."""
    hidden, text = life.directory / "hidden.sh", life.directory / "hook.txt"
    hidden.touch(mode=0o600)
    text.touch()
    life.env |= {STARTED: str(hidden), COMPLETED: str(text), CONTAINER: "/nowhere/index.js"}
    assert life.start().wait() == 78
    (told,) = [line for line in life.log if line["event"].startswith("the settings are wrong")]
    assert told["problems"] == [
        f"{STARTED}: nobody cannot read {hidden}, so every job would fail",
        f"{COMPLETED}: {text} ends in neither .sh nor .ps1 nor .js; every job would fail",
        f"{CONTAINER}: there is no file /nowhere/index.js, so every job would fail; mount it",
    ]
    assert simulator.requests() == []


def test_container_hooks_make_the_jobs_container(life: Life, simulator: Simulator) -> None:
    """The hooks run a job with `container:`, even where GitHub's runner refuses containers."""
    script = life.directory / "hooks.sh"
    script.write_text(
        'asked=$(cat); command=$(sed -n \'s/.*"command": "\\(.*\\)",/\\1/p\' <<<$asked)\n'
        'echo "hook $command"\n'
        'file=$(sed -n \'s/.*"responseFile": "\\(.*\\)",/\\1/p\' <<<$asked)\n'
        'echo \'{"isAlpine": false}\' >"$file"\n'
    )
    job = simulator.queue_job("echo step", container="registry.example/image:1")
    assert life.start(**{CONTAINER: str(script), REQUIRE: "true"}).wait() == 0, life.output
    log = simulator.job(job["id"])["log"]
    said = ["hook prepare_job", "hook run_script_step", "hook cleanup_job"]
    assert log.splitlines() == said


def test_job_container_can_be_required(life: Life, simulator: Simulator) -> None:
    """A job without `container:` fails where the operator requires one."""
    job = simulator.queue_job("echo step")
    assert life.start(**{REQUIRE: "true"}).wait() == 0, life.output
    assert "Jobs without a job container are forbidden" in simulator.job(job["id"])["log"]
    assert simulator.job(job["id"])["result"] == "failed"
