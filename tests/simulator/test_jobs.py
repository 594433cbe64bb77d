"""The stand-in's listener takes a job and its worker does it, as the real ones do."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

import pytest

from simulator import Simulator
from tests.simulator.home import RunnerHome, comm, finish
from tests.support.life import until

Make = Callable[..., RunnerHome]
LISTENER = "bin/Runner.Listener"


def test_a_job_runs_to_its_end(simulator: Simulator, home: RunnerHome) -> None:
    """The log goes to the server, the files go away, and the server drops the runner."""
    process = home.configured().listen()
    job = simulator.queue_job("echo from the step", name="build")
    code, output = finish(process)
    assert code == 0
    assert "\n√ Connected to GitHub\n\nCurrent runner version: '2.336.0'\n" in output
    for text in ("Z: Listening for Jobs", "Z: Running job: build"):
        assert text in output
    assert "Z: Job build completed with result: Succeeded" in output
    assert "Runner listener exit with 0 return code, stop the service" in output
    assert output.endswith("Exiting runner...\n")
    assert "from the step" not in output
    done = simulator.job(job["id"])
    assert (done["status"], done["result"]) == ("completed", "succeeded")
    assert done["log"] == "from the step\n"
    assert not simulator.runners()
    assert not home.files()
    assert {path.name for path in home.path.iterdir()} > {".env", ".path", "_work", "svc.sh"}
    assert "[" in home.trace()
    assert "INFO Listener] Runner execution has finished with return code 0" in home.trace()


def test_a_step_that_fails_fails_its_job(simulator: Simulator, home: RunnerHome) -> None:
    """The listener still ends with 0."""
    process = home.configured().listen()
    job = simulator.queue_job("echo before; false; echo after")
    code, output = finish(process)
    assert code == 0
    assert "completed with result: Failed" in output
    assert simulator.job(job["id"])["result"] == "failed"
    assert simulator.job(job["id"])["log"] == "before\n"


def test_a_lasting_runner_takes_one_job_after_the_other(
    simulator: Simulator, home: RunnerHome
) -> None:
    """Without --ephemeral the runner stays registered and goes on listening."""
    process = home.configured("--replace").listen()
    for name in ("first", "second"):
        job = simulator.queue_job(name=name)
        simulator.wait_for("job_completed", job_id=job["id"])
    os.kill(home.listener, signal.SIGINT)
    code, output = finish(process)
    assert code == 0
    assert output.count("completed with result: Succeeded") == 2
    assert len(simulator.runners()) == 1


def test_a_runner_takes_the_jobs_of_its_labels_and_scope(
    simulator: Simulator, home: RunnerHome
) -> None:
    """Other jobs stay in the queue."""
    process = home.configured("--ephemeral", "--labels", "gpu").listen()
    simulator.queue_job(labels=["tpu"])
    simulator.queue_job(scope="repos/acme/other")
    simulator.queue_job(labels=["GPU"], scope="repos/acme/shop")
    assert finish(process)[0] == 0
    assert [job["status"] for job in simulator.jobs()] == ["queued", "queued", "completed"]


def test_programs_have_their_names(home: RunnerHome) -> None:
    """The kernel knows the listener and the worker by their real names."""
    home.configured().work("sleep 60")
    assert comm(home.listener) == "Runner.Listener"
    assert comm(home.worker) == "Runner.Worker"


def test_a_job_inherits_what_the_real_one_does(simulator: Simulator, home: RunnerHome) -> None:
    """It gets the environment and `.env`, no input, two pipes, and no blocked signal."""
    home.configured()
    with (home.path / ".env").open("a") as file:
        file.write("FROM_FILE=file\n")
    env = {"ACTIONS_RUNNER_INPUT_STARTUPTYPE": "service", "FROM_PARENT": "parent"}
    script = "env; grep Sig /proc/self/status; ls -l /proc/$$/fd; pwd"
    process = home.listen(env=env)
    job = simulator.queue_job(script)
    assert finish(process)[0] == 0
    log = simulator.job(job["id"])["log"]
    for line in ("FROM_FILE=file", "FROM_PARENT=parent", "GITHUB_ACTIONS=true", "RUNNER_NAME=r"):
        assert line in log.splitlines()
    assert "ACTIONS_RUNNER_INPUT" not in log
    assert "SigBlk:\t0000000000000000" in log
    ignored = int(log.partition("SigIgn:\t")[2].split()[0], 16)
    assert not ignored & (1 << (signal.SIGPIPE - 1) | 1 << (signal.SIGXFSZ - 1))
    descriptors = [line for line in log.splitlines() if "-> pipe:" in line]
    assert len(descriptors) == 4, "output, error and the worker's two pipes"
    assert str(home.path / "_work/shop/shop") in log


@pytest.mark.parametrize(("holds_output", "grace"), [(True, 0.6), (False, 5.0)])
def test_the_worker_waits_for_whoever_holds_the_output(
    simulator: Simulator, make: Make, holds_output: bool, grace: float
) -> None:
    """The worker waits for a process in another session that holds the output open."""
    home = make(output_grace=grace).configured()
    redirection = "" if holds_output else ">/dev/null 2>&1"
    process, job = home.work(f"echo $$; setsid sleep 5 {redirection} &")
    finish(process)
    events = {event["kind"]: event for event in simulator.events() if "job_id" in event}
    seconds = events["job_completed"]["time"] - events["job_output"]["time"]
    assert (seconds >= grace) == holds_output
    assert simulator.job(job["id"])["result"] == "succeeded"


@pytest.mark.parametrize("started", ["echo started", "exit 1"])
def test_the_started_hook_decides(simulator: Simulator, home: RunnerHome, started: str) -> None:
    """The first step waits for the hook, and does not run if the hook fails."""
    hook = home.path / "hook.sh"
    hook.write_text(started)
    process = home.configured().listen(env={"ACTIONS_RUNNER_HOOK_JOB_STARTED": str(hook)})
    job = simulator.queue_job("echo step")
    assert finish(process)[0] == 0
    done = simulator.job(job["id"])
    expected = ("failed", "") if "exit" in started else ("succeeded", "started\nstep\n")
    assert (done["result"], done["log"]) == expected


@pytest.mark.parametrize("name", ["hook.py", "missing.sh"])
def test_a_hook_must_be_a_script_that_exists(
    simulator: Simulator, home: RunnerHome, name: str
) -> None:
    """Any other hook fails the job."""
    (home.path / "hook.py").write_text("")
    env = {"ACTIONS_RUNNER_HOOK_JOB_STARTED": str(home.path / name)}
    process = home.configured().listen(env=env)
    job = simulator.queue_job("echo step")
    assert finish(process)[0] == 0
    done = simulator.job(job["id"])
    assert done["result"] == "failed"
    assert "is not a valid path to a script" in done["log"]


def test_an_orphaned_worker_finishes_its_job(simulator: Simulator, home: RunnerHome) -> None:
    """run.sh returns 0 at once, and the worker reports later."""
    done = home.path / "done"
    process, job = home.configured().work(f"until [ -e {done} ]; do sleep 0.02; done; echo end")
    os.kill(home.listener, signal.SIGKILL)
    code, output = finish(process)
    assert code == 0
    assert "Exiting with unknown error code: 137" in output
    assert simulator.job(job["id"])["status"] == "in_progress"
    done.touch()
    simulator.wait_for("job_completed", job_id=job["id"], result="succeeded")
    assert not simulator.runners()
    assert ".runner" in home.files()


@pytest.mark.parametrize("signum", [signal.SIGKILL, signal.SIGTERM])
def test_a_dead_worker_is_a_failed_job(simulator: Simulator, home: RunnerHome, signum: int) -> None:
    """The listener reports the job and deletes its files; the job's processes live on."""
    process, job = home.configured().work("echo $$; exec sleep 60")
    event = simulator.wait_for("job_output", job_id=job["id"])
    os.kill(home.worker, signum)
    code, output = finish(process)
    assert code == 0
    assert "completed with result: Failed" in output
    assert simulator.job(job["id"])["result"] == "failed"
    assert not home.files()
    step = int(event["text"])
    until(lambda: comm(step) == "sleep")
    os.kill(step, signal.SIGKILL)


def test_a_worker_swallows_sigint(simulator: Simulator, home: RunnerHome) -> None:
    """SIGINT to the worker changes nothing."""
    done = home.path / "done"
    process, job = home.configured().work(f"until [ -e {done} ]; do sleep 0.02; done")
    os.kill(home.worker, signal.SIGINT)
    done.touch()
    assert finish(process)[0] == 0
    assert simulator.job(job["id"])["result"] == "succeeded"


def test_a_listener_that_is_gone_gets_no_job(simulator: Simulator, home: RunnerHome) -> None:
    """If an idle listener is killed, the job stays in the queue."""
    process = home.configured().listen(LISTENER)
    os.kill(home.listener, signal.SIGKILL)
    finish(process)
    simulator.wait_for("connection_lost", runner="r")
    job = simulator.queue_job()
    with pytest.raises(TimeoutError):
        simulator.wait_for("job_assigned", timeout=0.1)
    assert simulator.job(job["id"])["status"] == "queued"
