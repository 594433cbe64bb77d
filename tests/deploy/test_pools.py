"""Every way to keep runners alive on a host: a runner's life, and what an operator meets."""

from __future__ import annotations

import contextlib
import time

import pytest

from simulator import Simulator
from tests.deploy.conftest import each_of
from tests.deploy.pools import (
    Podman,
    Pool,
    Quadlet,
    QuadletRootless,
    Swarm,
    Systemd,
    SystemdSocket,
    SystemdSudo,
    begun_job,
    job_replacement_stop,
    listening,
    stop_of_a_busy_pool,
)
from tests.support.life import until

TOGETHER = "first guest"

POOLS = [Systemd, SystemdSudo, SystemdSocket, Podman, Quadlet, QuadletRootless, Swarm]
pytestmark = each_of(POOLS)


def test_job_replacement_stop(pool: Pool, github: Simulator) -> None:
    """Runners register, do jobs that find no credential, are replaced, and stop."""
    job_replacement_stop(pool, github)


def test_stop_of_a_busy_pool(pool: Pool, github: Simulator) -> None:
    """A stop during a job ends within its limit; the job has a result, and the list is empty."""
    stop_of_a_busy_pool(pool, github, 2)


@pytest.mark.exhaustive
def test_drain(pool: Pool, github: Simulator) -> None:
    """With a drain a stop lets the running job end, and starts no new runner."""
    pool.configure(RUNNER_DRAIN_TIMEOUT="10")
    pool.start(2)
    listening(github, 2)
    job = begun_job(github, "sleep 5; echo ended")
    assert pool.stop() < pool.stop_seconds
    assert github.job(job)["result"] == "succeeded"
    assert github.runners() == []


@pytest.mark.exhaustive
def test_scale(pool: Pool, github: Simulator) -> None:
    """A larger number adds runners, a smaller one takes some off the list."""
    pool.start(1)
    last = listening(github, 1)
    first = pool.containers()
    pool.start(3)
    listening(github, 2, last)
    assert len(pool.containers()) == 3
    assert first < pool.containers()
    pool.start(1)
    until(lambda: len(pool.containers()) == 1)
    until(lambda: len(github.runners()) == 1)
    assert pool.containers() == first


@pytest.mark.exhaustive
def test_wrong_token(pool: Pool, github: Simulator) -> None:
    """A wrong token is rarely tried again, and the operator sees why; the right one then works."""
    pool.configure(token="ghp_wrong")
    pool.start(1)
    until(lambda: "77" in pool.status())
    time.sleep(15)  # in which nothing is to happen: an engine that tries again does it after 10 s
    tries = [request for request in github.requests() if request["status"] == 401]
    assert len(tries) == 1
    assert "ghp_wrong" not in pool.status()
    assert "refused the credential" in pool.status()
    assert len(pool.containers()) == pool.waits_before_it_ends
    assert pool.stop() < pool.stop_seconds
    pool.configure()
    pool.start(1)
    listening(github, 1)


@pytest.mark.exhaustive
@pytest.mark.parametrize("victim", ["client", "engine"])
def test_killed(pool: Pool, github: Simulator, victim: str) -> None:
    """After a kill of client or engine there are as many runners as before, and no more."""
    github.settings(session_seconds=4)  # a silent runner is offline after so many seconds
    pool.start(2)
    last = listening(github, 2)
    if not pool.kill(victim):
        return
    listening(github, pool.killed_at_once[victim], last)

    def states() -> list[str]:
        return sorted(runner["status"] for runner in github.runners())

    left = ["offline"] if victim == "client" and pool.dies_with_its_client else []
    until(lambda: states() == [*left, "online", "online"], 90)
    assert len(pool.containers()) == 2
    for runner in github.runners():
        if runner["status"] == "offline":  # left for `gh-runner sweep`
            github.delete_runner(runner["id"])


@pytest.mark.exhaustive
def test_reboot(pool: Pool, github: Simulator) -> None:
    """A reboot takes the runners off the list, and starts new ones afterwards."""
    pool.start(2)
    last = listening(github, 2)
    pool.guest.power_off()
    assert github.runners() == []
    pool.guest.boot()
    pool.after_boot()
    listening(github, 2, last)
    assert len(github.runners()) == 2
    assert len(pool.containers()) == 2


@pytest.mark.exhaustive
def test_loss_of_power(pool: Pool, github: Simulator) -> None:
    """After a loss of power new runners start; those left on the list are offline."""
    pool.start(2)
    last = listening(github, 2)
    before = {runner["id"] for runner in github.runners()}
    pool.guest.crash()
    pool.guest.boot()
    pool.after_boot()
    listening(github, 2, last)
    for runner in before:
        with contextlib.suppress(RuntimeError):  # the timer's sweep was faster
            github.delete_runner(runner)
    assert len(pool.containers()) == 2
