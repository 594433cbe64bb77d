"""The stand-in's programs take signals as the real ones do."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import requests

from simulator import Simulator
from tests.simulator.home import RUNNERS, RunnerHome, comm, finish
from tests.support.life import until

Make = Callable[..., RunnerHome]
LISTENER = "bin/Runner.Listener"
RECORD_OF_SIGNALS = """
trap 'echo got INT' INT
trap 'echo got TERM' TERM
echo ready
while :; do sleep 0.02; done
"""


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 0), (signal.SIGTERM, 143)])
def test_an_idle_listener_stops_at_a_signal(
    simulator: Simulator, home: RunnerHome, signum: int, code: int
) -> None:
    """It logs out and stays registered; its log says 0 for either signal."""
    process = home.configured().listen(LISTENER)
    os.kill(home.listener, signum)
    ended, output = finish(process)
    assert ended == code
    assert ("Exiting..." in output) == (signum == signal.SIGINT)
    assert simulator.runners()[0]["status"] == "offline"
    assert ".runner" in home.files()
    assert "finished with return code 0" in home.trace()


@pytest.mark.parametrize("busy", [False, True])
def test_a_listener_for_net_10_dies_of_sigterm(make: Make, busy: bool) -> None:
    """It dies at once, idle or not; a worker goes on."""
    home = make(dotnet=10).configured()
    process = home.work("sleep 60", program=LISTENER)[0] if busy else home.listen(LISTENER)
    os.kill(home.listener, signal.SIGTERM)
    assert finish(process)[0] == -signal.SIGTERM
    if busy:
        assert comm(home.worker) == "Runner.Worker"


def test_sigint_ends_a_listener_that_cannot_connect(simulator: Simulator, make: Make) -> None:
    """A listener that would try for ever leaves with 0 at once."""
    home = make(session_retry=60.0).configured()
    simulator.fault(path="/_services/session", status=503, times=0)
    process = home.start(LISTENER, "run")
    simulator.wait_for("answer", path="/_services/session")
    assert process.stdout is not None
    while "Retrying until reconnected" not in process.stdout.readline():
        pass
    os.kill(process.pid, signal.SIGINT)
    assert finish(process)[0] == 0


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_before_the_worker_loses_the_job(
    simulator: Simulator, make: Make, signum: int
) -> None:
    """The job is never reported: it stays in progress, and its runner busy."""
    home = make(worker_start=30.0).configured()
    process = home.listen(LISTENER)
    job = simulator.queue_job("echo never")
    simulator.wait_for("job_acquired", job_id=job["id"])
    os.kill(home.listener, signum)
    assert finish(process)[0] in (0, 143)
    assert simulator.job(job["id"])["status"] == "in_progress"
    assert simulator.runners()[0]["busy"]
    answer = requests.delete(
        f"{simulator.url}/{RUNNERS}/1",
        headers={"Authorization": "Bearer ghp_simulator"},
        timeout=30,
    )
    assert answer.status_code == 422


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 0), (signal.SIGTERM, 143)])
def test_a_signal_cancels_the_job(simulator: Simulator, make: Make, signum: int, code: int) -> None:
    """The shell gets SIGINT, then SIGTERM, then SIGKILL; the job is reported; the files stay."""
    home = make(interrupt_grace=1.0, terminate_grace=1.0).configured()
    process, job = home.work(RECORD_OF_SIGNALS, program=LISTENER)
    simulator.wait_for("job_output", text="ready")
    os.kill(home.listener, signum)
    ended, output = finish(process)
    assert ended == code
    assert "completed with result: Canceled" in output
    done = simulator.job(job["id"])
    assert (done["result"], done["log"]) == ("failed", "ready\ngot INT\ngot TERM\n")
    assert not simulator.runners()
    assert ".runner" in home.files()


def test_a_step_can_end_at_the_first_signal(simulator: Simulator, make: Make) -> None:
    """If the step's program replaces the shell, the cancellation waits for no grace."""
    home = make(interrupt_grace=60.0).configured()
    process, job = home.work("echo ready; exec sleep 60")
    simulator.wait_for("job_output", text="ready")
    os.kill(home.listener, signal.SIGINT)
    assert finish(process)[0] == 0
    assert simulator.job(job["id"])["result"] == "failed"


def test_a_user_cancels_the_job(simulator: Simulator, home: RunnerHome) -> None:
    """The job is cancelled, not failed; its last steps and the completed hook run."""
    hook = home.path / "hook.sh"
    hook.write_text("echo the hook")
    home.configured()
    process = home.listen(env={"ACTIONS_RUNNER_HOOK_JOB_COMPLETED": str(hook)})
    job = simulator.queue_job("echo ready; exec sleep 60", always="echo last")
    simulator.wait_for("job_output", text="ready")
    simulator.cancel_job(job["id"])
    code, output = finish(process)
    assert code == 0
    assert "completed with result: Canceled" in output
    done = simulator.job(job["id"])
    assert (done["result"], done["log"]) == ("cancelled", "ready\nlast\nthe hook\n")
    assert ".runner" not in home.files()


def test_a_shutdown_skips_the_last_steps(simulator: Simulator, home: RunnerHome) -> None:
    """Unlike a user's cancellation, a shutdown skips the last steps."""
    process = home.configured().listen()
    job = simulator.queue_job("echo ready; exec sleep 60", always="echo last")
    simulator.wait_for("job_output", text="ready")
    os.kill(home.listener, signal.SIGINT)
    assert finish(process)[0] == 0
    assert simulator.job(job["id"])["log"] == "ready\n"


def with_blocked(*signals: int) -> Callable[[], None]:
    """Return a function that makes a child start with signals blocked."""

    def block() -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, signals)

    return block


def ignore_interrupts() -> None:
    """Make a child start with SIGINT ignored."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def test_with_sigchld_blocked_no_job_ever_ends(simulator: Simulator, home: RunnerHome) -> None:
    """The mask is inherited, so that the ends of step and worker are never noticed."""
    home.configured()
    home.work("true", program=LISTENER, preexec_fn=with_blocked(signal.SIGCHLD))
    with pytest.raises(TimeoutError):
        simulator.wait_for("job_completed", timeout=0.3)
    os.kill(home.worker, signal.SIGKILL)
    with pytest.raises(TimeoutError):
        simulator.wait_for("job_completed", timeout=0.3)


@pytest.mark.parametrize("prepare", [with_blocked(signal.SIGINT), ignore_interrupts])
def test_a_deaf_listener_does_not_stop(
    simulator: Simulator, home: RunnerHome, prepare: Callable[[], None]
) -> None:
    """A listener that starts with SIGINT blocked or ignored goes on listening."""
    process = home.configured().listen(LISTENER, preexec_fn=prepare)
    os.kill(home.listener, signal.SIGINT)
    job = simulator.queue_job()
    simulator.wait_for("job_completed", job_id=job["id"])
    code, output = finish(process)
    assert (code, "Exiting..." in output) == (0, False)


def test_run_sh_is_deaf_and_dies_alone(home: RunnerHome) -> None:
    """SIGINT to its shell does nothing; SIGTERM ends the shell only."""
    process = home.configured().listen()
    os.kill(process.pid, signal.SIGINT)
    os.kill(process.pid, signal.SIGTERM)
    assert process.wait(30) == -signal.SIGTERM
    assert comm(home.listener) == "Runner.Listener"


def test_a_trapping_run_sh_interrupts_its_group(home: RunnerHome) -> None:
    """With RUNNER_MANUALLY_TRAP_SIG the listener stops, and the code is the signal's."""
    process = home.configured().listen(env={"RUNNER_MANUALLY_TRAP_SIG": "1"})
    os.kill(process.pid, signal.SIGTERM)
    code, output = finish(process)
    assert code == 143
    assert "Exiting..." in output


def test_processes_of_a_job_can_outlive_the_listener(simulator: Simulator, make: Make) -> None:
    """With its processes killed, a cancelled job is reported sooner, and the runner gone."""
    home = make(interrupt_grace=60.0).configured()
    process, job = home.work("trap '' INT TERM; echo $$; while :; do sleep 1; done")
    step = int(simulator.wait_for("job_output", job_id=job["id"])["text"])
    os.kill(home.listener, signal.SIGINT)
    os.kill(step, signal.SIGKILL)
    assert finish(process)[0] == 0
    assert until(lambda: not Path(f"/proc/{step}").exists())
    assert simulator.job(job["id"])["result"] == "failed"
