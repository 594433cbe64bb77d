"""A stop at any moment: no job is lost, no runner stays, and all within `docker stop`'s time."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable

import pytest

from simulator import Simulator
from tests.support.life import Life, until

DOCKER_STOP = 10  # seconds

# The real worker needs 12 to 14 s to cancel such a job.
STUBBORN = {
    "plain": "sleep 60",
    "deaf": "trap '' INT TERM; while :; do sleep 1; done",
    "other sessions": "setsid sleep 61 & setsid sh -c 'trap \"\" INT TERM; sleep 62' & sleep 60",
    "double fork": "(setsid sh -c 'sleep 63 & exit' &); sleep 60",
}


def test_idle_runner_leaves_the_list_before_its_listener_is_signalled(
    life: Life, simulator: Simulator
) -> None:
    """The listener is signalled only once GitHub can give it no job."""
    life.start()
    simulator.wait_for("listening")  # a shorter poll might tell it of its removal before the signal
    assert life.signal().wait() == 143
    assert simulator.runners() == []
    removed = simulator.wait_for("runner_removed")
    left = simulator.wait_for("request", method="DELETE", path="/session")
    assert removed["id"] < left["id"]


def test_stop_of_an_idle_runner_asks_github_at_most_three_times(
    life: Life, simulator: Simulator
) -> None:
    """A stop needs a remove-token and the proof that the runner is gone."""
    life.start()
    simulator.wait_for("session_opened")
    before = len(simulator.requests())
    assert life.signal(signal.SIGINT).wait() == 130
    ours = [r for r in simulator.requests()[before:] if r["user_agent"].startswith("gh-runner")]
    assert len(ours) <= 3


@pytest.mark.parametrize("script", STUBBORN.values(), ids=STUBBORN)
def test_stubborn_job_is_reported_and_nobody_stays(
    script: str, new_life: Callable[..., Life], simulator: Simulator
) -> None:
    """With the real times a job that resists has a result within ten seconds."""
    life = new_life(scale=0.2, cancel_scale=1.0)
    job = simulator.queue_job(script)
    life.start()
    simulator.wait_for("worker_started")
    stopped = time.monotonic()
    assert life.signal().wait() == 143
    assert time.monotonic() - stopped < DOCKER_STOP
    assert simulator.job(job["id"])["status"] == "completed"
    assert simulator.runners() == []


def test_cancelled_job_may_clean_up(new_life: Callable[..., Life], simulator: Simulator) -> None:
    """A step that needs two seconds after its SIGINT has them."""
    life = new_life(cancel_scale=1.0)
    script = "trap 'sleep 2; echo cleaned; exit 1' INT; echo begun; sleep 60 & wait"
    job = simulator.queue_job(script)
    life.start()
    simulator.wait_for("job_output", text="begun")
    assert life.signal().wait() == 143
    assert "cleaned" in simulator.job(job["id"])["log"]


def test_second_stop_kills_the_job_at_once(
    new_life: Callable[..., Life], simulator: Simulator
) -> None:
    """A second stop does not wait for RUNNER_CANCEL_TIMEOUT."""
    life = new_life(cancel_scale=1.0)
    job = simulator.queue_job("trap '' INT TERM; echo deaf; while :; do sleep 1; done")
    life.start(RUNNER_STOP_TIMEOUT="30", RUNNER_CANCEL_TIMEOUT="20")
    simulator.wait_for("job_output", text="deaf")
    life.signal()
    until(lambda: "cancelling the job" in life.output)  # two pending signals would merge
    stopped = time.monotonic()
    assert life.signal().wait() == 143
    assert time.monotonic() - stopped < DOCKER_STOP
    assert simulator.job(job["id"])["status"] == "completed"


def test_drained_job_runs_to_its_end(life: Life, simulator: Simulator) -> None:
    """With RUNNER_DRAIN_TIMEOUT a stop waits for the job, and that is a success."""
    end = life.directory / "end"
    job = simulator.queue_job(f"echo begun; until [ -e {end} ]; do sleep 0.05; done; echo ended")
    life.start(RUNNER_DRAIN_TIMEOUT="30")
    simulator.wait_for("job_output", text="begun")
    life.signal()
    until(lambda: "a job is running and may end" in life.output)
    end.touch()
    assert life.wait() == 0
    assert simulator.job(job["id"])["result"] == "succeeded"
    assert "ended" in simulator.job(job["id"])["log"]
    assert simulator.runners() == []


def test_drain_does_not_keep_an_idle_runner(life: Life, simulator: Simulator) -> None:
    """A drain is for a job; a runner without a job leaves at once."""
    life.start(RUNNER_DRAIN_TIMEOUT="300")
    simulator.wait_for("session_opened")
    assert life.signal().wait() == 143
    assert simulator.runners() == []


def test_job_is_cancelled_when_its_drain_is_over(
    new_life: Callable[..., Life], simulator: Simulator
) -> None:
    """When a drain is over, the job is cancelled."""
    life = new_life()
    job = simulator.queue_job("echo begun; sleep 60")
    life.start(RUNNER_DRAIN_TIMEOUT="0.3")
    simulator.wait_for("job_output", text="begun")
    assert life.signal().wait() == 143
    assert simulator.job(job["id"])["status"] == "completed"
    assert simulator.runners() == []


def test_unreachable_github_ends_in_74_with_the_way_out(life: Life, simulator: Simulator) -> None:
    """If GitHub fails all the time, the last message names the runner, its id and a command."""
    life.start(RUNNER_STOP_TIMEOUT="3")
    simulator.wait_for("session_opened")
    [runner] = simulator.runners()
    simulator.fault(path="/actions/runners", status=500, times=0)
    assert life.signal().wait() == 74
    error = life.error()
    assert runner["name"] in error
    assert f"gh api --method DELETE /repos/acme/shop/actions/runners/{runner['id']}" in error


def test_fork_bomb_is_ended(new_life: Callable[..., Life], simulator: Simulator) -> None:
    """Processes that fork faster than they can be listed are stopped first, then killed."""
    life = new_life(cancel_scale=1.0)
    job = simulator.queue_job(
        "echo begun; ulimit -u 300; f() { trap '' INT TERM; while :; do sleep 0.01 & done; }; f"
    )
    life.start(RUNNER_CANCEL_TIMEOUT="1")
    simulator.wait_for("job_output", text="begun")
    stopped = time.monotonic()
    assert life.signal().wait() == 143
    assert time.monotonic() - stopped < DOCKER_STOP
    assert simulator.job(job["id"])["status"] == "completed"


def test_job_that_arrives_during_a_stop_is_told_though_its_listener_is_killed(
    life: Life, simulator: Simulator
) -> None:
    """The worker is known from its first moment, even during a request to GitHub."""
    simulator.fault(path="/remove-token$", hold="removal")
    life.start()
    simulator.wait_for("session_opened")
    life.signal()
    simulator.wait_for("fault")
    job = simulator.queue_job("sleep 60")
    simulator.wait_for("worker_started")
    os.kill(life.pid_of("Runner.Listener"), signal.SIGKILL)
    until(lambda: "run.sh" not in life.inside().values())
    simulator.release("removal")
    life.wait()
    assert simulator.job(job["id"])["result"] == "failed"
    assert simulator.runners() == []


def test_job_whose_worker_is_slow_to_start_is_waited_for(
    new_life: Callable[..., Life], simulator: Simulator
) -> None:
    """A signal before the worker's start would lose the job, so the stop waits for it."""
    life = new_life(worker_start=4.0)
    life.start(RUNNER_CANCEL_TIMEOUT="0.5")
    simulator.wait_for("session_opened")
    job = simulator.queue_job("sleep 60")
    simulator.wait_for("job_acquired")
    stopped = time.monotonic()
    assert life.signal().wait(timeout=20) == 143, life.output
    assert time.monotonic() - stopped < DOCKER_STOP
    assert simulator.job(job["id"])["result"] == "failed"
    assert simulator.runners() == []


def test_job_that_arrives_while_github_cannot_be_asked_is_cancelled_in_time(
    new_life: Callable[..., Life], simulator: Simulator
) -> None:
    """Half of the time is for asking GitHub; a job that has come by then is reported."""
    life = new_life(cancel_scale=1.0)
    life.start()
    simulator.wait_for("session_opened")
    simulator.fault(path="^/repos/", status=500, times=0)
    life.signal()
    stopped = time.monotonic()
    simulator.wait_for("fault")
    job = simulator.queue_job("sleep 60")
    assert life.wait(timeout=20) == 74
    assert time.monotonic() - stopped < DOCKER_STOP
    assert simulator.job(job["id"])["result"] == "failed"


def test_job_that_the_listener_has_only_just_received_is_not_lost(
    new_life: Callable[..., Life], simulator: Simulator
) -> None:
    """If GitHub cannot be asked, an answer in the listener's connection is a reason to wait.

    The listener's log tells of the job 0.6 s after that answer here, and the interrupt would come
    between the two.
    """
    life = new_life(cancel_scale=1.0, message=0.6)
    life.start(RUNNER_STOP_TIMEOUT="8", RUNNER_CANCEL_TIMEOUT="0.2")
    simulator.wait_for("session_opened")
    simulator.fault(path="^/repos/", hold="the API", times=0)
    life.signal()
    stopped = time.monotonic()
    # No event tells when half of the stop's time is over: then the listener is to be interrupted.
    time.sleep(max(0.0, stopped + 3.7 - time.monotonic()))
    job = simulator.queue_job("sleep 60")
    life.wait(timeout=20)
    assert simulator.job(job["id"])["status"] == "completed", life.output


def test_answer_that_never_comes_is_no_end(life: Life, simulator: Simulator) -> None:
    """A request that hangs is abandoned in time for another one."""
    simulator.queue_job("sleep 60")
    life.start(RUNNER_CANCEL_TIMEOUT="0.5")
    simulator.wait_for("worker_started")
    simulator.fault(path="/actions/runners/[0-9]", hang=True)
    stopped = time.monotonic()
    assert life.signal().wait(timeout=20) == 143, life.output
    assert time.monotonic() - stopped < DOCKER_STOP
    assert simulator.runners() == []


def test_time_that_github_takes_for_a_refusal_counts(
    new_life: Callable[..., Life], simulator: Simulator
) -> None:
    """RUNNER_STOP_TIMEOUT holds for all of the stop, even if GitHub's refusal took long."""
    life = new_life(cancel_scale=1.0)
    life.start()
    simulator.wait_for("session_opened")
    simulator.fault(path="/remove-token$", delay=4)
    life.signal()
    stopped = time.monotonic()
    simulator.wait_for("fault")
    job = simulator.queue_job(STUBBORN["deaf"])
    assert life.wait(timeout=20) == 143
    assert time.monotonic() - stopped < DOCKER_STOP
    assert simulator.job(job["id"])["result"] == "failed"


def test_drain_does_not_prolong_the_stop_itself(
    new_life: Callable[..., Life], simulator: Simulator
) -> None:
    """The time for asking GitHub before the drain is not given a second time after it."""
    life = new_life(cancel_scale=1.0)
    life.start(RUNNER_DRAIN_TIMEOUT="60")
    simulator.wait_for("session_opened")
    simulator.fault(path="^/repos/", hang=True, times=0)
    life.signal()
    stopped = time.monotonic()
    simulator.wait_for("fault")
    simulator.queue_job("sleep 60")
    simulator.wait_for("worker_started")
    life.signal(signal.SIGINT)
    assert life.wait(timeout=20) == 74
    assert time.monotonic() - stopped < DOCKER_STOP


def test_worker_is_known_though_its_listener_is_killed_at_once(
    life: Life, simulator: Simulator
) -> None:
    """A worker is known by its process: its log comes after the listener is gone."""
    job = simulator.queue_job("sleep 60")
    life.start(RUNNER_CANCEL_TIMEOUT="0.5")
    worker = life.pid_of("Runner.Worker")
    os.kill(worker, signal.SIGSTOP)  # before its first log
    acquired = simulator.wait_for("job_acquired")["id"]
    simulator.wait_for("request", path="/message", after=acquired)  # it has handed the job over
    os.kill(life.pid_of("Runner.Listener"), signal.SIGKILL)
    os.kill(worker, signal.SIGCONT)
    simulator.wait_for("worker_started")
    assert life.signal().wait() == 143
    assert simulator.job(job["id"])["result"] == "failed"
    assert simulator.runners() == []


def test_step_that_begins_after_the_kill_is_killed_too(
    new_life: Callable[..., Life], simulator: Simulator
) -> None:
    """A worker starts its step after an impatient stop, and the step is killed as well."""
    life = new_life(cancel_scale=1.0)
    simulator.fault(path="/jobstarted$", delay=1)
    job = simulator.queue_job(STUBBORN["deaf"])
    life.start()
    simulator.wait_for("fault")
    life.signal().signal(signal.SIGINT)
    assert life.wait() in (130, 143)
    assert simulator.job(job["id"])["result"] == "failed"
    assert simulator.runners() == []
