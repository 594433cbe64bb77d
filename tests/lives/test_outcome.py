"""The exit code of the container, although run.sh turns most of the listener's into 0."""

from __future__ import annotations

import os
import shutil
import signal

from simulator import Simulator
from tests.support.life import Life, until


def test_killed_listener_does_not_end_the_job(life: Life, simulator: Simulator) -> None:
    """The worker goes on without its listener; PID 1 waits for it, and reports its result."""
    end = life.directory / "end"
    job = simulator.queue_job(f"echo begun; until [ -e {end} ]; do sleep 0.05; done")
    life.start()
    simulator.wait_for("job_output", text="begun")
    os.kill(life.pid_of("Runner.Listener"), signal.SIGKILL)
    end.touch()
    assert life.wait() == 0
    assert simulator.job(job["id"])["result"] == "succeeded"
    assert simulator.runners() == []
    [told] = [line for line in life.log if "went on without it" in line["event"]]
    assert told["result"] == "succeeded"


def test_stop_reaches_the_job_of_a_killed_listener(life: Life, simulator: Simulator) -> None:
    """An orphaned worker is stopped as well, and still reports its job."""
    job = simulator.queue_job("echo begun; sleep 60")
    life.start(RUNNER_CANCEL_TIMEOUT="0.2")
    simulator.wait_for("job_output", text="begun")
    os.kill(life.pid_of("Runner.Listener"), signal.SIGKILL)
    until(lambda: "run.sh" not in life.inside().values())
    assert life.signal().wait() == 143
    assert simulator.job(job["id"])["status"] == "completed"
    assert simulator.runners() == []


def test_killed_worker_is_a_job_that_has_ended(life: Life, simulator: Simulator) -> None:
    """GitHub learns that the job failed, and the runner counts as having done a job."""
    job = simulator.queue_job("echo begun; sleep 60")
    life.start()
    simulator.wait_for("job_output", text="begun")
    os.kill(life.pid_of("Runner.Worker"), signal.SIGKILL)
    assert life.wait() == 0
    assert simulator.job(job["id"])["result"] == "failed"
    assert simulator.runners() == []


def test_failed_job_is_no_failure_of_the_runner(life: Life, simulator: Simulator) -> None:
    """The exit code is about the runner; the job's result is GitHub's to show."""
    simulator.queue_job("exit 3")
    assert life.start().wait() == 0


def test_job_that_deletes_the_logs_was_a_job(life: Life, simulator: Simulator) -> None:
    """A job counts although it has deleted the log of its worker."""
    simulator.queue_job(f"rm -r {life.home}/_diag")
    assert life.start().wait() == 0
    assert simulator.runners() == []


def test_work_folder_that_has_gone_is_told(life: Life, simulator: Simulator) -> None:
    """If a volume vanishes while the runner is idle, the error about the listener names it."""
    simulator.settings(poll_seconds=0.2)
    life.start()
    simulator.wait_for("session_opened")
    shutil.rmtree(life.home / "_work")
    simulator.delete_runner(simulator.runners()[0]["id"])
    assert life.wait() == 76
    [shown] = [line for line in life.log if line["event"] == "no job has run"]
    assert shown["free_disk"] == f"{life.home}/_work: No such file or directory"


def test_registration_that_vanishes_ends_in_76(life: Life, simulator: Simulator) -> None:
    """If the idle runner is removed at GitHub, the listener leaves with 0, without a job."""
    simulator.settings(poll_seconds=0.2)
    life.start()
    simulator.wait_for("session_opened")
    simulator.delete_runner(simulator.runners()[0]["id"])
    assert life.wait() == 76
    assert "no longer knows the registration" in life.error()


def test_version_that_is_no_longer_accepted_ends_in_7(life: Life, simulator: Simulator) -> None:
    """The log says to rebuild the image, and nothing stays registered."""
    simulator.settings(poll_seconds=0.2)
    life.start()
    simulator.wait_for("session_opened")
    simulator.deprecate("2.336.0", told_at="poll")
    assert life.wait() == 7
    assert "rebuild the image" in life.error()
    assert simulator.runners() == []


def test_failing_listener_shows_the_end_of_its_log(life: Life, simulator: Simulator) -> None:
    """With 76 the log shows the end of the listener's log and the free disk."""
    simulator.fault(path="/oauth2/token", method="POST", status=400, times=0)
    life.start()
    assert life.wait() == 76
    [shown] = [line for line in life.log if line["event"] == "no job has run"]
    assert "return code" in shown["diag"]
    assert "GiB" in shown["free_disk"]
    assert simulator.runners() == []
