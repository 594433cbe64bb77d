"""A runner's life in a container, from `docker run --env-file` to GitHub's list without it."""

from __future__ import annotations

import time

from simulator import Simulator
from tests.image.conftest import StartRunner
from tests.image.engine import Engine
from tests.life import until

STUBBORN = "trap '' INT TERM; echo deaf; while :; do sleep 0.2; done"
STOP_SECONDS = 10  # after which `docker stop` kills


def online(github: Simulator) -> int:
    """Return how many runners GitHub believes to be alive."""
    return [runner["status"] for runner in github.runners()].count("online")


def test_job(start: StartRunner, github: Simulator) -> None:
    """A container takes one job, leaves with 0 and is gone from GitHub's list."""
    job = github.queue_job("echo hello from $(id -un)")
    container = start()
    assert container.wait() == 0, container.logs()
    assert github.job(job["id"])["result"] == "succeeded"
    assert "hello from runner" in github.job(job["id"])["log"]
    assert github.runners() == []


def test_stop_when_idle(start: StartRunner, github: Simulator) -> None:
    """A container that waits for a job stops at once with 143, and is gone from the list."""
    container = start(scale=1)
    github.wait_for("session_opened")
    assert container.stop() < STOP_SECONDS
    assert container.wait() == 143, container.logs()
    assert github.runners() == []


def test_stop_in_a_job(docker: Engine, start: StartRunner, github: Simulator) -> None:
    """A job is cancelled within the ten seconds of `docker stop`, also one that ignores signals."""
    jobs = [github.queue_job(run, name=run) for run in ("echo asleep; sleep 60", STUBBORN)]
    containers = [start(scale=1) for _ in jobs]
    for job in jobs:
        github.wait_for("job_output", timeout=30, job_id=job["id"])
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


def test_kill_and_start(start: StartRunner, github: Simulator) -> None:
    """After `docker kill` and `docker start` exactly one runner of the container is alive."""
    github.settings(poll_seconds=0.5, session_seconds=2)
    container = start()
    first = github.wait_for("session_opened")
    container.kill()
    container.wait()
    container.start()
    github.wait_for("session_opened", after=first["id"])
    until(lambda: online(github) == 1)
    container.stop()
    assert container.wait() == 143, container.logs()


def test_health(start: StartRunner, github: Simulator) -> None:
    """HEALTHCHECK finds a runner that waits for a job healthy."""
    container = start("--health-interval", "1s")
    github.wait_for("session_opened")
    container.wait_for_health("healthy")
    assert "idle" in container.execute("gh-runner", "status")
