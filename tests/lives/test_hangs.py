"""A runner that hangs ends in time, with the right code, and says truly whether it is listed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable

import pytest

from simulator import Simulator
from tests.support.life import Life, until
from tests.support.patience import hurried


def state(life: Life) -> dict[str, str]:
    """Return the content of the state file."""
    found: dict[str, str] = json.loads((life.directory / "state/state.json").read_text())
    return found


@pytest.mark.parametrize("hang", ["refused", "taken"])
def test_job_that_could_not_be_acquired(life: Life, simulator: Simulator, hang: str) -> None:
    """GitHub drops the runner, whose listener waits for ever: two looks at the list give 76."""
    simulator.queue_job("exit 0", hang=hang)
    assert hurried(life).start().wait() == 76, life.output
    assert "dropped this runner with a job" in life.error()
    assert simulator.runners() == []


def test_job_whose_acquisition_is_never_answered(life: Life, simulator: Simulator) -> None:
    """Once GitHub's lease is over, the runner is off the list, and the message says so."""
    simulator.queue_job("exit 0", hang="unanswered")
    code = hurried(life).start(RUNNER_STOP_TIMEOUT="4").wait()
    assert code in (74, 76), life.output
    assert (code == 74) is bool(simulator.runners())
    assert "no worker has started" in life.output


def test_suspicion_is_told_and_unhealthy(life: Life, simulator: Simulator) -> None:
    """A stuck runner is unhealthy and in the log before it is ended."""
    simulator.queue_job("exit 0", hang="unanswered")
    hurried(life, LEASE="60.0").start()
    until(lambda: "stuck" in state(life))
    assert "no worker has started" in state(life)["stuck"]
    look = subprocess.run(
        [sys.executable, "-I", "-m", "entrypoint", "status"],
        env={"RUNNER_STATE_DIR": life.env["RUNNER_STATE_DIR"]},
        capture_output=True,
        text=True,
        check=False,
    )
    assert look.returncode == 1
    assert "stuck since" in look.stdout
    life.signal()
    life.wait()


def test_github_gone_while_suspicion_is_checked(life: Life, simulator: Simulator) -> None:
    """An error of GitHub decides nothing: the suspicion stays, and is in the log."""
    simulator.queue_job("exit 0", hang="refused")
    simulator.fault(method="GET", path="/actions/runners/1", status=503, times=0)
    hurried(life).start(GITHUB_TIMEOUT="1")
    until(lambda: "cannot be asked" in life.output)
    assert life.process.poll() is None
    simulator.clear_faults()
    assert life.wait() == 76, life.output


def test_worker_that_goes_on_although_github_has_dropped_it(
    life: Life, simulator: Simulator
) -> None:
    """If the job is over at GitHub, the life is ended as by a signal, with 76."""
    simulator.queue_job("echo begun; sleep 60")
    hurried(life).start(RUNNER_CANCEL_TIMEOUT="0.2")
    simulator.wait_for("job_output", text="begun")
    simulator.delete_runner(1)
    assert life.wait() == 76, life.output
    assert "its worker goes on" in life.error()


def test_listener_that_stays_after_its_worker(life: Life, simulator: Simulator) -> None:
    """Such a listener is interrupted, and killed if need be; the exit code is the job's."""
    job = simulator.queue_job("exit 0", hang="listener-stays")
    assert hurried(life).start().wait() == 0, life.output
    assert simulator.job(job["id"])["result"] == "succeeded"
    assert simulator.runners() == []


def test_listener_that_its_job_has_stopped(life: Life, simulator: Simulator) -> None:
    """A step sends SIGSTOP to its listener: after the job it is continued, and leaves."""
    job = simulator.queue_job("echo begun; sleep 0.5")
    hurried(life).start()
    simulator.wait_for("job_output", text="begun")
    os.kill(life.pid_of("Runner.Listener"), signal.SIGSTOP)
    assert life.wait() == 0, life.output
    assert simulator.job(job["id"])["result"] == "succeeded"


def test_job_that_takes_too_long(life: Life, simulator: Simulator) -> None:
    """At RUNNER_JOB_TIMEOUT the job is cancelled, GitHub learns of it, and the log says why."""
    job = simulator.queue_job("echo begun; sleep 60")
    life.start(RUNNER_JOB_TIMEOUT="1", RUNNER_CANCEL_TIMEOUT="0.2")
    assert life.wait() == 76, life.output
    assert "RUNNER_JOB_TIMEOUT" in life.error()
    assert simulator.job(job["id"])["status"] == "completed"
    assert simulator.runners() == []


def test_job_that_does_not_drain_when_it_takes_too_long(life: Life, simulator: Simulator) -> None:
    """A drain is for stops; a job that takes too long is cancelled without one."""
    simulator.queue_job("echo begun; sleep 60")
    life.env |= {"RUNNER_JOB_TIMEOUT": "1", "RUNNER_DRAIN_TIMEOUT": "60"}
    assert life.start(RUNNER_CANCEL_TIMEOUT="0.2").wait() == 76, life.output


def test_lost_job_is_no_success(life: Life, simulator: Simulator) -> None:
    """If a step kills all of the runner's processes, the code is 74 while GitHub lists it."""
    simulator.queue_job("rm -f $HOME/.runner; kill -9 $(pgrep -u nobody -f Runner)", name="lost")
    code = life.start(GITHUB_TIMEOUT="3").wait()
    assert code == (74 if simulator.runners() else 0), life.output
    if simulator.runners():
        assert "lost" in life.error()


def test_worker_that_never_reads_its_job(
    new_life: Callable[..., Life], simulator: Simulator
) -> None:
    """The listener kills the worker and ends with 0; the error says that the job may be stuck."""
    simulator.queue_job("exit 0", hang="never-reads", name="stuck job")
    life = new_life(worker_read=0.5)
    assert life.start(GITHUB_TIMEOUT="2").wait() == 74, life.output
    assert "'stuck job' may be stuck: cancel its run" in life.error()


def test_session_conflict_is_told_once(new_life: Callable[..., Life], simulator: Simulator) -> None:
    """If another container has the same configuration, there is one warning, and 76."""
    life = new_life(session_conflict=0.5, session_retry=0.2)
    simulator.hold_session()
    assert life.start().wait() == 76, life.output
    assert "session" in life.error()


@pytest.mark.parametrize("start", [0.0, 0.3])
def test_slow_worker_is_no_zombie(
    new_life: Callable[..., Life], simulator: Simulator, start: float
) -> None:
    """A worker that starts slowly is waited for, and does its job."""
    life = new_life(worker_start=start)
    job = simulator.queue_job("exit 0")
    assert hurried(life).start().wait() == 0, life.output
    assert simulator.job(job["id"])["result"] == "succeeded"
    assert "no worker" not in life.output


def test_renewed_token_costs_one_look(new_life: Callable[..., Life], simulator: Simulator) -> None:
    """If an idle listener's log grows by a renewed token, PID 1 looks at the list once, no more."""
    life = hurried(new_life(token_renewal=1.5))
    life.start()
    simulator.wait_for("session_opened")
    simulator.wait_for("request", method="GET", path="/actions/runners/1", timeout=10)
    assert life.process.poll() is None
    assert "no worker" not in life.output
    assert life.signal().wait() == 143


def test_stop_while_a_stuck_job_keeps_the_runner_listed(
    new_life: Callable[..., Life], simulator: Simulator
) -> None:
    """PID 1 asks GitHub for up to a minute whether the job is over; a stop shortens that."""
    life = new_life(worker_read=0.3)
    simulator.queue_job("exit 0", hang="never-reads")
    life.start(RUNNER_STOP_TIMEOUT="2")
    until(lambda: "is asked again" in life.output)
    began = time.monotonic()
    life.signal()
    assert life.wait() == 74, life.output
    assert time.monotonic() - began < 5
