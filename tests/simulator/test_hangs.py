"""The stand-in hangs as GitHub's runner does, with the log that the real one writes."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable

import pytest

from simulator import Simulator
from simulator.container import state
from tests.simulator.api import Call
from tests.simulator.home import Program, RunnerHome, finish
from tests.support.life import until

Make = Callable[..., RunnerHome]


def is_alive(process: Program, seconds: float = 0.3) -> bool:
    """Return whether a program goes on for a while."""
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return True
    return False


def in_order(text: str, *parts: str) -> None:
    """Check that all parts are in the text, one after another."""
    for part in parts:
        _, found, text = text.partition(part)
        assert found, part


def log(home: RunnerHome) -> str:
    """Return the log of the listener that started last."""
    return max(home.path.glob("_diag/Runner_*.log")).read_text()


def test_log_of_a_job(simulator: Simulator, make: Make) -> None:
    """The log grows before the job is acquired, and each line comes when the real one writes it."""
    home = make(message=0.2, acquire=0.2, worker_start=0.2, worker_log=0.2, renew=0.1).configured()
    process = home.listen()
    path = max(home.path.glob("_diag/Runner_*.log"))
    before = path.stat().st_size
    job = simulator.queue_job("sleep 0.3", name="build")
    until(lambda: path.stat().st_size > before)
    assert "job_acquired" not in {event["kind"] for event in simulator.events()}
    until(lambda: "Running job: build" in path.read_text())
    assert "job_acquired" in {event["kind"] for event in simulator.events()}
    assert "Process started" not in path.read_text()
    until(lambda: "Process started with process id" in path.read_text())
    assert list(home.path.glob("_diag/Worker_*.log")) == []
    assert finish(process)[0] == 0
    in_order(
        log(home),
        "INFO BrokerMessageListener] Session created.",
        "INFO Terminal] WRITE LINE: ",
        "Z: Listening for Jobs\n",
        "INFO CredentialManager] GetCredentialProvider\n",
        f"INFO JobDispatcher] Job request 0 for plan {job['id']} job {job['id']} received.\n",
        "Z: Running job: build\n",
        "INFO ProcessInvokerWrapper] Process started with process id ",
        f"INFO JobDispatcher] Successfully renew job {job['id']}, job is valid till ",
        " with exit code 100, and elapsed time 00:00:0",
        f"INFO JobDispatcher] Worker finished for job {job['id']}. Code: 100\n",
        f"finish job request for job {job['id']} with result: Succeeded\n",
        "WARN GitHubActionsService] Catch exception during request\nSystem.Threading.",
        "WRITE LINE: √ Removed .runner\n",
        "INFO Listener] Runner execution has finished with return code 0\n",
    )


@pytest.mark.parametrize(
    ("script", "code"), [("exit 1", 102), ("kill -9 $PPID", 137), ("kill -TERM $PPID", 143)]
)
def test_log_of_a_bad_end(simulator: Simulator, home: RunnerHome, script: str, code: int) -> None:
    """The log has the worker's exit code, which depends on how it ended."""
    process = home.configured().listen()
    job = simulator.queue_job(script)
    assert finish(process)[0] == 0
    in_order(log(home), f"Worker finished for job {job['id']}. Code: {code}\n", "result: Failed\n")


def test_idle_log(make: Make) -> None:
    """An idle listener's log grows only when a token is renewed."""
    home = make(token_renewal=0.3).configured()
    home.listen()
    path = max(home.path.glob("_diag/Runner_*.log"))
    before = path.stat().st_size
    until(lambda: path.stat().st_size > before)
    assert path.read_text().splitlines()[-1].endswith("for this token request: Unknown")


@pytest.mark.parametrize(
    ("hang", "status"), [("refused", "NotFound"), ("taken", "Conflict")], ids=["404", "409"]
)
def test_refused_job(simulator: Simulator, home: RunnerHome, hang: str, status: str) -> None:
    """GitHub drops the runner, and its listener polls on as before."""
    simulator.settings(poll_seconds=0.1)
    process = home.configured().listen()
    job = simulator.queue_job(hang=hang)
    simulator.wait_for("runner_removed")
    until(lambda: "Runner] Skipping message Job. Job message" in log(home))
    assert f"acquirejob failed. HTTP Status: {status}\n" in log(home)
    last = simulator.last_event()
    for _ in range(3):
        last = simulator.wait_for("answer", path="/message", status=202, after=last)["id"]
    assert is_alive(process)
    assert simulator.runners() == []
    assert simulator.job(job["id"])["status"] == "completed"
    simulator.queue_job()
    os.kill(home.listener, signal.SIGINT)
    assert finish(process)[0] == 0


def test_unanswered_acquisition(simulator: Simulator, home: RunnerHome, call: Call) -> None:
    """The runner is listed and busy until the lease is over; the listener waits on."""
    simulator.settings(lease_seconds=1.0)
    process = home.configured().listen()
    job = simulator.queue_job(hang="unanswered")
    simulator.wait_for("request", path="/acquirejob")
    assert call("DELETE", "repos/acme/shop/actions/runners/1").status_code == 422
    assert simulator.runners()[0]["busy"]
    simulator.wait_for("lease_ended", job_id=job["id"])
    assert simulator.runners() == []
    assert simulator.job(job["id"])["result"] == "failed"
    assert is_alive(process)


def test_renewal_keeps_the_lease(simulator: Simulator, make: Make) -> None:
    """A job that takes longer than its lease goes on, since its runner renews it."""
    simulator.settings(lease_seconds=0.5)
    process, job = make(renew=0.1).configured().work("sleep 1.5")
    assert finish(process)[0] == 0
    assert simulator.job(job["id"])["result"] == "succeeded"


def test_worker_that_never_reads(simulator: Simulator, make: Make, call: Call) -> None:
    """The worker is killed and the listener ends with 0; for GitHub the runner is busy."""
    home = make(worker_read=0.3).configured()
    process = home.listen()
    job = simulator.queue_job(hang="never-reads")
    code, output = finish(process)
    assert code == 0
    assert "completed with result" not in output
    assert f"Worker finished for job {job['id']}. Code: 137\n" in log(home)
    assert simulator.job(job["id"])["status"] == "in_progress"
    assert call("DELETE", "repos/acme/shop/actions/runners/1").status_code == 422


def test_cancellation_that_never_ends(simulator: Simulator, make: Make) -> None:
    """The listener is told again and again; GitHub drops the runner and answers its polls."""
    simulator.settings(cancel_seconds=1.0)
    home = make().configured()
    process = home.listen()
    job = simulator.queue_job("sleep 60", hang="never-leaves")
    home.worker = int(simulator.wait_for("worker_started", job_id=job["id"])["pid"])
    simulator.cancel_job(job["id"], for_ever=True)
    told = f"Job cancellation request {job['id']} received"
    until(lambda: log(home).count(told) > 2)
    simulator.wait_for("job_completed", result="cancelled")
    assert simulator.runners() == []
    before = log(home).count(told)
    until(lambda: log(home).count(told) > before)
    assert is_alive(process)
    assert state(home.worker) == "S"


def test_listener_that_stays(simulator: Simulator, home: RunnerHome) -> None:
    """The worker reports the job and ends; only SIGKILL ends the listener."""
    process = home.configured().listen()
    job = simulator.queue_job(hang="listener-stays")
    simulator.wait_for("job_completed", job_id=job["id"], result="succeeded")
    until(lambda: "completed with result: Succeeded" in log(home))
    os.kill(home.listener, signal.SIGINT)
    assert is_alive(process)
    os.kill(home.listener, signal.SIGKILL)
    assert finish(process)[0] == 0


def test_step_that_stops_its_listener(simulator: Simulator, home: RunnerHome) -> None:
    """The worker reports the job and ends; the listener is stopped until SIGCONT."""
    process = home.configured().listen()
    simulator.queue_job(kind="stops-listener")
    simulator.wait_for("job_completed", result="succeeded")
    until(lambda: state(home.listener) == "T")
    assert is_alive(process)
    os.kill(home.listener, signal.SIGCONT)
    assert finish(process)[0] == 0


def test_session_that_another_holds(simulator: Simulator, make: Make) -> None:
    """The listener says so at once, ends with 5 after its retries, and run.sh with 0."""
    simulator.hold_session()
    home = make(session_conflict=1.0).configured()
    began = time.monotonic()
    code, output = home.run("run.sh")
    assert time.monotonic() - began >= 1
    assert code == 0
    in_order(
        output,
        "A session for this runner already exists.",
        "Failed to create session. Error: Conflict",
        "Runner listener exit with Session Conflict error, stop the service",
    )


@pytest.mark.parametrize("seconds", [0.0, 1.0])
def test_slow_worker(simulator: Simulator, home: RunnerHome, seconds: float) -> None:
    """A job can say how long the start of its worker takes."""
    process = home.configured().listen()
    simulator.queue_job(worker_start=seconds)
    acquired = simulator.wait_for("job_acquired")["time"]
    started = simulator.wait_for("worker_started")["time"]
    assert (started - acquired >= 1) == bool(seconds)
    assert finish(process)[0] == 0


def test_unknown_hang(simulator: Simulator) -> None:
    """The error of the control API lists the hangs that exist."""
    with pytest.raises(RuntimeError, match="hang is one of refused, taken"):
        simulator.queue_job(hang="sleeps")
