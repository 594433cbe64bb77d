"""A runner's life in a container, from `docker run --env-file` until it is off GitHub's list."""

from __future__ import annotations

import time
from pathlib import Path

from entrypoint.errors import ExitCode
from simulator import Simulator
from tests.image.conftest import StartRunner
from tests.image.engine import Engine

STUBBORN = "trap '' INT TERM; echo deaf; while :; do sleep 0.2; done"
STOP_SECONDS = 10  # then `docker stop` kills


def test_job(start: StartRunner, github: Simulator) -> None:
    """A container takes one job, leaves with 0 and is gone from GitHub's list."""
    job = github.queue_job("echo hello from $(id -un)")
    container = start()
    assert container.wait() == 0, container.logs()
    assert github.job(job["id"])["result"] == "succeeded"
    assert "hello from runner" in github.job(job["id"])["log"]
    assert github.runners() == []


def test_stop(docker: Engine, start: StartRunner, github: Simulator) -> None:
    """`docker stop` gives ten seconds: enough for an idle, a busy, a stubborn runner to leave."""
    jobs = [github.queue_job(run, labels=["busy"]) for run in ("echo asleep; sleep 60", STUBBORN)]
    containers = [start(scale=1, RUNNER_LABELS="busy") for _ in jobs]
    containers.append(start(scale=1, RUNNER_NAME="idle"))
    github.wait_for("listening", runner="idle")
    for job in jobs:
        github.wait_for("job_output", job_id=job["id"])
    begin = time.monotonic()
    docker("stop", *(container.id for container in containers))  # all at the same time
    assert time.monotonic() - begin < STOP_SECONDS
    for container in containers:
        assert container.wait() == 143, container.logs()
    for job in github.jobs():
        assert job["status"] == "completed", job
        assert job["result"] in {"cancelled", "failed"}, job
    assert github.runners() == []


def test_drain(start: StartRunner, github: Simulator) -> None:
    """With a drain the job runs to its end before the container leaves, with 0."""
    job = github.queue_job("echo begun; sleep 1; echo done")
    container = start(RUNNER_DRAIN_TIMEOUT="30")
    github.wait_for("job_output")
    container.stop(60)
    assert container.wait() == 0, container.logs()
    assert github.job(job["id"])["result"] == "succeeded"
    assert github.runners() == []


def test_last_sentence(start: StartRunner, github: Simulator, tmp_path: Path) -> None:
    """The file that Kubernetes mounts has the cause of the end, even if a job wrote into it."""
    file = tmp_path / "termination-log"
    file.touch()
    file.chmod(0o666)
    mounted = ("--volume", f"{file}:/dev/termination-log")
    job = github.queue_job("echo nonsense >/dev/termination-log")
    container = start(*mounted)
    assert container.wait() == 0, container.logs()
    assert github.job(job["id"])["result"] == "succeeded"
    assert file.read_text() == ExitCode.DONE.meaning
    wrong = "ghp_" + "0" * 36
    container = start(*mounted, GITHUB_PERSONAL_TOKEN=wrong)
    assert container.wait() == 77, container.logs()
    assert "401" in file.read_text()
    assert "GITHUB_PERSONAL_TOKEN" in file.read_text()  # the hint
    assert wrong not in file.read_text()


def test_kill_and_start(start: StartRunner, github: Simulator) -> None:
    """After `docker kill` and `docker start` GitHub lists one runner, the one that lives."""
    container = start()
    first = github.wait_for("session_opened")
    container.kill()
    container.wait()
    assert len(github.runners()) == 1
    container.start()
    second = github.wait_for("session_opened", after=first["id"])
    github.wait_for("runner_removed", after=first["id"], runner_id=first["runner_id"])
    assert [runner["id"] for runner in github.runners()] == [second["runner_id"]]
    container.stop()
    assert container.wait() == 143, container.logs()
    assert github.runners() == []


def test_health(start: StartRunner, github: Simulator) -> None:
    """HEALTHCHECK reports a runner that waits for a job as healthy."""
    container = start("--health-interval", "200ms")
    github.wait_for("session_opened")
    container.wait_for_health("healthy")
    assert "idle" in container.execute("gh-runner", "status")
