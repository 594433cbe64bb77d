"""Runners that are idle for too long, ghosts, and listeners in a loop."""

from __future__ import annotations

from collections.abc import Callable

from simulator import Simulator
from tests.support.life import Life


def test_idle_runner_leaves_after_its_time(life: Life, simulator: Simulator) -> None:
    """With RUNNER_IDLE_TIMEOUT a runner that gets no job deregisters and exits with 0."""
    assert life.start(RUNNER_IDLE_TIMEOUT="0.5").wait() == 0
    assert simulator.runners() == []
    assert "no job came" in life.output


def test_job_of_the_last_moment_runs_on(life: Life, simulator: Simulator) -> None:
    """GitHub refuses to remove a runner that has just got a job, and the job runs first."""
    simulator.fault(path="/remove-token$", hold="removal")
    life.start(RUNNER_IDLE_TIMEOUT="0.5")
    simulator.wait_for("fault")
    job = simulator.queue_job("sleep 1.5; echo ended")
    simulator.wait_for("worker_started")
    simulator.release("removal")
    assert life.wait() == 0
    assert simulator.job(job["id"])["result"] == "succeeded"


def test_ghost_is_found(life: Life, simulator: Simulator) -> None:
    """A runner that GitHub has dropped while its listener waits exits with 76."""
    life.start(RUNNER_WATCHDOG="0.2")
    simulator.wait_for("session_opened")
    simulator.fault(path="/_services/", hang=True, times=0)
    simulator.fault(path="/actions/runners/", method="GET", status=404, times=0)
    assert life.wait() == 76
    assert "does not list" in life.error()


def test_watchdog_forgives_a_github_that_fails(life: Life, simulator: Simulator) -> None:
    """Errors of GitHub are no proof that the runner is gone."""
    life.start(RUNNER_WATCHDOG="0.1")
    simulator.wait_for("session_opened")
    seen = simulator.last_event()
    simulator.fault(path="/actions/runners/", method="GET", status=500, times=3)
    for _ in range(5):
        seen = simulator.wait_for("request", method="GET", path="/actions/runners/", after=seen)[
            "id"
        ]
    assert life.signal().wait() == 143
    assert simulator.runners() == []


def test_looping_listener_is_given_up(new_life: Callable[..., Life], simulator: Simulator) -> None:
    """run.sh starts a failing listener for ever; RUNNER_MAX_RESTARTS limits that."""
    life = new_life(relaunch=0.4)  # the end is told before the next start
    with (life.home / "config.sh").open("a") as script:
        script.write("\necho unusable > .credentials\n")
    assert life.start(RUNNER_MAX_RESTARTS="0").wait() == 76
    assert "started again 1 times" in life.error()
    assert simulator.runners() == []


def test_runner_whose_removal_fails_goes_on_listening(life: Life, simulator: Simulator) -> None:
    """If GitHub fails at the end of the idle time, a job that comes later is still done."""
    simulator.fault(path=r"/remove-token$|/actions/runners/\d", status=401, times=0)
    life.start(RUNNER_IDLE_TIMEOUT="0.3")
    simulator.wait_for("answer", status=401)
    job = simulator.queue_job("sleep 0.5")
    assert life.wait() == 0
    assert simulator.job(job["id"])["result"] == "succeeded"


def test_runner_that_is_not_ephemeral_has_its_idle_time_after_each_job(
    life: Life, simulator: Simulator
) -> None:
    """The idle time begins anew, even after a job that came as it was over."""
    simulator.queue_job("sleep 1")
    assert life.start(RUNNER_EPHEMERAL="0", RUNNER_IDLE_TIMEOUT="0.5").wait() == 0
    assert simulator.runners() == []
