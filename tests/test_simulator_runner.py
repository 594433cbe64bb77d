"""The stand-in's run.sh listens, works, stops and dies as the real one does."""

from __future__ import annotations

import base64
import json
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from simulator import Simulator
from tests.life import directory, until
from tests.runner_home import RUNNERS, RunnerHome, finish

Make = Callable[..., RunnerHome]
LISTENER = "bin/Runner.Listener"
DEPRECATED = "ACTIONS_RUNNER_RETURN_VERSION_DEPRECATED_EXIT_CODE"
RECORD_OF_SIGNALS = """
trap 'echo got INT' INT
trap 'echo got TERM' TERM
echo ready
while :; do sleep 0.02; done
"""


@pytest.fixture(scope="module")
def server() -> Iterator[Simulator]:
    """One server for the whole module."""
    with Simulator() as simulator:
        yield simulator


@pytest.fixture
def simulator(server: Simulator) -> Simulator:
    """The server with an empty GitHub in it."""
    server.reset()
    return server


@pytest.fixture
def make(simulator: Simulator) -> Iterator[Make]:
    """Make a runner's home; whatever it has started ends with the test."""
    homes: list[RunnerHome] = []
    with directory() as path:

        def make_home(**options: Any) -> RunnerHome:
            homes.append(RunnerHome(simulator, path / str(len(homes)), **options))
            return homes[-1]

        yield make_home
        for home in homes:
            home.end()


@pytest.fixture
def home(make: Make) -> RunnerHome:
    """A runner that is not registered."""
    return make()


def comm(pid: int) -> str:
    """The name of a process as the kernel knows it."""
    return Path(f"/proc/{pid}/comm").read_text().strip()


def is_gone(pid: int) -> bool:
    """Whether a process has ended."""
    return not Path(f"/proc/{pid}").exists()


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
    """Without --ephemeral it stays registered and goes on listening."""
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
    """Whatever does not fit stays in the queue."""
    process = home.configured("--ephemeral", "--labels", "gpu").listen()
    simulator.queue_job(labels=["tpu"])
    simulator.queue_job(scope="repos/acme/other")
    simulator.queue_job(labels=["GPU"], scope="repos/acme/shop")
    assert finish(process)[0] == 0
    assert [job["status"] for job in simulator.jobs()] == ["queued", "queued", "completed"]


def test_programs_have_their_names(home: RunnerHome) -> None:
    """The kernel knows the listener and the worker by the real names."""
    home.configured().work("sleep 60")
    assert comm(home.listener) == "Runner.Listener"
    assert comm(home.worker) == "Runner.Worker"


def test_a_job_inherits_what_the_real_one_does(simulator: Simulator, home: RunnerHome) -> None:
    """The environment and `.env`, but no input; two pipes of the worker; no blocked signal."""
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


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 0), (signal.SIGTERM, 143)])
def test_an_idle_listener_stops_at_a_signal(
    simulator: Simulator, home: RunnerHome, signum: int, code: int
) -> None:
    """It logs out and stays registered; the trace says 0 in both cases."""
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
    """Idle or not, at once; a worker goes on."""
    home = make(dotnet=10).configured()
    process = home.work("sleep 60", program=LISTENER)[0] if busy else home.listen(LISTENER)
    os.kill(home.listener, signal.SIGTERM)
    assert finish(process)[0] == -signal.SIGTERM
    if busy:
        assert comm(home.worker) == "Runner.Worker"


def test_sigint_ends_a_listener_that_cannot_connect(simulator: Simulator, make: Make) -> None:
    """It would retry for ever, and leaves with 0 at once."""
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
    """Nobody reports it: it is in progress and its runner busy for ever."""
    home = make(worker_start=30.0).configured()
    process = home.listen(LISTENER)
    job = simulator.queue_job("echo never")
    simulator.wait_for("job_acquired", job_id=job["id"])
    os.kill(home.listener, signum)
    assert finish(process)[0] in (0, 143)
    assert simulator.job(job["id"])["status"] == "in_progress"
    assert simulator.runners()[0]["busy"]
    answer = requests.delete(
        f"{simulator.url}/{RUNNERS}/1", headers={"Authorization": "Bearer ghp_simulator"}, timeout=5
    )
    assert answer.status_code == 422


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 0), (signal.SIGTERM, 143)])
def test_a_signal_cancels_the_job(
    simulator: Simulator, home: RunnerHome, signum: int, code: int
) -> None:
    """The shell gets SIGINT, then SIGTERM, then SIGKILL; the job is reported; the files stay."""
    process, job = home.configured().work(RECORD_OF_SIGNALS, program=LISTENER)
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
    """With a program in the shell's place the cancel does not wait for any grace."""
    home = make(interrupt_grace=60.0).configured()
    process, job = home.work("echo ready; exec sleep 60")
    simulator.wait_for("job_output", text="ready")
    os.kill(home.listener, signal.SIGINT)
    assert finish(process)[0] == 0
    assert simulator.job(job["id"])["result"] == "failed"


@pytest.mark.parametrize("holds_output", [True, False])
def test_the_worker_waits_for_whoever_holds_the_output(
    simulator: Simulator, make: Make, holds_output: bool
) -> None:
    """A child in another session delays the end by `output_grace`, unless it has let go."""
    home = make(output_grace=0.6).configured()
    redirection = "" if holds_output else ">/dev/null 2>&1"
    process, job = home.work(f"echo $$; setsid sleep 5 {redirection} &")
    finish(process)
    events = {event["kind"]: event for event in simulator.events() if "job_id" in event}
    seconds = events["job_completed"]["time"] - events["job_output"]["time"]
    assert (seconds >= 0.6) == holds_output
    assert simulator.job(job["id"])["result"] == "succeeded"


def test_a_user_cancels_the_job(simulator: Simulator, home: RunnerHome) -> None:
    """It is cancelled, not failed; its last steps and the completed hook still run."""
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
    """The difference to a cancel by the user."""
    process = home.configured().listen()
    job = simulator.queue_job("echo ready; exec sleep 60", always="echo last")
    simulator.wait_for("job_output", text="ready")
    os.kill(home.listener, signal.SIGINT)
    assert finish(process)[0] == 0
    assert simulator.job(job["id"])["log"] == "ready\n"


@pytest.mark.parametrize("started", ["echo started", "exit 1"])
def test_the_started_hook_decides(simulator: Simulator, home: RunnerHome, started: str) -> None:
    """The first step waits for it, and never runs if it fails."""
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
    """Otherwise the job fails."""
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
    """The listener reports it and cleans up; the job's processes live on."""
    process, job = home.configured().work("echo $$; exec sleep 5")
    event = simulator.wait_for("job_output", job_id=job["id"])
    os.kill(home.worker, signum)
    code, output = finish(process)
    assert code == 0
    assert "completed with result: Failed" in output
    assert simulator.job(job["id"])["result"] == "failed"
    assert not home.files()
    step = int(event["text"])
    assert comm(step) == "sleep"
    os.kill(step, signal.SIGKILL)


def test_a_worker_swallows_sigint(simulator: Simulator, home: RunnerHome) -> None:
    """The job runs on as if nothing had happened."""
    done = home.path / "done"
    process, job = home.configured().work(f"until [ -e {done} ]; do sleep 0.02; done")
    os.kill(home.worker, signal.SIGINT)
    done.touch()
    assert finish(process)[0] == 0
    assert simulator.job(job["id"])["result"] == "succeeded"


def with_blocked(*signals: int) -> Callable[[], None]:
    """What makes a child start with signals blocked."""

    def block() -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, signals)

    return block


def ignore_interrupts() -> None:
    """What makes a child start with SIGINT ignored."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def test_with_sigchld_blocked_no_job_ever_ends(simulator: Simulator, home: RunnerHome) -> None:
    """The mask is inherited: neither the step's end is seen nor the worker's."""
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
    """Started with SIGINT blocked or ignored, it goes on listening."""
    process = home.configured().listen(LISTENER, preexec_fn=prepare)
    os.kill(home.listener, signal.SIGINT)
    job = simulator.queue_job()
    simulator.wait_for("job_completed", job_id=job["id"])
    code, output = finish(process)
    assert (code, "Exiting..." in output) == (0, False)


def test_run_sh_is_deaf_and_dies_alone(home: RunnerHome) -> None:
    """SIGINT to its shell does nothing, SIGTERM ends the shell only."""
    process = home.configured().listen()
    os.kill(process.pid, signal.SIGINT)
    os.kill(process.pid, signal.SIGTERM)
    assert process.wait(5) == -signal.SIGTERM
    assert comm(home.listener) == "Runner.Listener"


def test_a_trapping_run_sh_interrupts_its_group(home: RunnerHome) -> None:
    """With RUNNER_MANUALLY_TRAP_SIG the listener stops, and the code is that of the signal."""
    process = home.configured().listen(env={"RUNNER_MANUALLY_TRAP_SIG": "1"})
    os.kill(process.pid, signal.SIGTERM)
    code, output = finish(process)
    assert code == 143
    assert "Exiting..." in output


@pytest.mark.parametrize("how", ["argument", "environment", "files"])
def test_a_jit_configuration_is_enough(simulator: Simulator, home: RunnerHome, how: str) -> None:
    """It is given in one of three ways, and makes an ephemeral runner."""
    encoded = home.jit()
    if how == "argument":
        process = home.listen("run.sh", "--jitconfig", encoded)
        assert encoded.encode() in Path(f"/proc/{home.listener}/cmdline").read_bytes()
    elif how == "environment":
        process = home.listen(env={"ACTIONS_RUNNER_INPUT_JITCONFIG": encoded})
        assert encoded.encode() in Path(f"/proc/{home.listener}/environ").read_bytes()
    else:
        write_jit_files(home, encoded)
        process = home.listen()
    assert home.record()["AgentName"] == "r"
    job = simulator.queue_job('echo "$ACTIONS_RUNNER_INPUT_JITCONFIG"')
    assert finish(process)[0] == 0
    assert simulator.job(job["id"])["log"] == "\n"
    assert not home.files()


def write_jit_files(home: RunnerHome, encoded: str) -> None:
    """Do what a starter does that wants to keep the configuration out of sight."""
    for name, content in json.loads(base64.b64decode(encoded)).items():
        (home.path / name).write_bytes(base64.b64decode(content))
        shutil.chown(home.path / name, "nobody")


def test_a_jit_runner_is_removed_by_config_sh(simulator: Simulator, home: RunnerHome) -> None:
    """Its files serve for that as well."""
    write_jit_files(home, home.jit())
    assert home.run("config.sh", "remove", "--token", home.token("remove"))[0] == 0
    assert not simulator.runners()


def test_a_registration_that_is_gone_at_the_start_is_final(
    simulator: Simulator, home: RunnerHome
) -> None:
    """The listener ends with 1, run.sh makes that 0, the files stay."""
    home.configured()
    simulator.delete_runner(1)
    code, output = home.run(LISTENER, "run")
    assert code == 1
    assert "The runner registration has been deleted from the server" in output
    code, output = home.run("run.sh")
    assert code == 0
    assert "Runner listener exit with terminated error" in output
    assert ".runner" in home.files()


@pytest.mark.parametrize("by_config_sh", [True, False])
def test_a_registration_that_vanishes_is_noticed_at_the_next_poll(
    simulator: Simulator, home: RunnerHome, by_config_sh: bool
) -> None:
    """The listener cleans up and ends with 0."""
    simulator.settings(poll_seconds=0.3)
    process = home.configured().listen()
    if by_config_sh:
        home.run("config.sh", "remove", "--token", home.token("remove"))
    else:
        simulator.delete_runner(1)
    code, output = finish(process)
    assert code == 0
    assert "The runner no longer exists on the server." in output
    assert ("Does not exist. Skipping Removing .runner" in output) == by_config_sh
    assert not home.files()


def test_after_its_removal_a_listener_leaves_at_once(
    simulator: Simulator, home: RunnerHome
) -> None:
    """Removed first, signalled second: no job is taken in between, and the exit code is 0."""
    process = home.configured().listen()
    assert home.run("config.sh", "remove", "--token", home.token("remove"))[0] == 0
    job = simulator.queue_job()
    os.kill(home.listener, signal.SIGINT)
    code, output = finish(process)
    assert code == 0
    assert "Does not exist. Skipping Removing .runner" in output
    assert simulator.job(job["id"])["status"] == "queued"


@pytest.mark.parametrize(
    ("told_at", "env", "code"),
    [("poll", {}, 1), ("poll", {DEPRECATED: "1"}, 7), ("session", {DEPRECATED: "1"}, 1)],
)
def test_a_deprecated_version_is_refused(
    simulator: Simulator, home: RunnerHome, told_at: str, env: dict[str, str], code: int
) -> None:
    """The listener's code depends on a variable; run.sh passes on 7 alone."""
    home.configured()
    simulator.deprecate("2.336.0", told_at=told_at)
    ended, output = home.run(LISTENER, "run", env=env)
    assert ended == code
    assert "deprecated" in output or "Failed to create session. Error: Forbidden" in output
    assert home.run("run.sh", env=env)[0] == (7 if code == 7 else 0)


def test_a_revoked_token_ends_the_listener(simulator: Simulator, home: RunnerHome) -> None:
    """With 0, although no job ran; the files stay."""
    home.configured()
    simulator.fault(path="/_services/message", status=401)
    assert home.run(LISTENER, "run")[0] == 0
    assert ".runner" in home.files()
    assert len(simulator.runners()) == 1


def test_two_sessions_conflict(home: RunnerHome) -> None:
    """The second listener gives up with 5."""
    home.configured().listen()
    code, output = home.run(LISTENER, "run")
    assert code == 5
    assert "A session for this runner already exists." in output


def test_unusable_credentials_relaunch_for_ever(simulator: Simulator, home: RunnerHome) -> None:
    """The listener ends with 2, and run.sh starts it again and again."""
    home.configured()
    (home.path / ".credentials").write_text("{}")
    process = home.start("run.sh")
    assert process.stdout is not None
    launches = 0
    while launches < 3:
        line = process.stdout.readline()
        assert line
        launches += line.startswith("Runner listener exit with retryable error, re-launch")
    assert simulator.runners()[0]["status"] == "offline"


def test_an_unusable_work_folder_ends_the_listener(simulator: Simulator, home: RunnerHome) -> None:
    """config.sh does not mind; the listener ends with 1 and the runner stays."""
    home.configured("--work", "/proc/nothing")
    code, output = home.run(LISTENER, "run")
    assert code == 1
    assert "Fail to create and validate runner's work directory" in output
    assert len(simulator.runners()) == 1


def test_a_runner_that_is_not_configured_does_not_run(home: RunnerHome) -> None:
    """Nor does it as root."""
    code, output = home.run(LISTENER, "run")
    assert (code, "Runner is not configured." in output) == (1, True)
    output = home.run("run.sh", root=True)[1]
    assert "Must not run interactively with sudo" in output


def test_a_listener_that_is_gone_gets_no_job(simulator: Simulator, home: RunnerHome) -> None:
    """Killed while idle, it leaves the job in the queue."""
    process = home.configured().listen(LISTENER)
    os.kill(home.listener, signal.SIGKILL)
    finish(process)
    simulator.wait_for("connection_lost", runner="r")
    job = simulator.queue_job()
    with pytest.raises(TimeoutError):
        simulator.wait_for("job_assigned", timeout=0.1)
    assert simulator.job(job["id"])["status"] == "queued"


def test_the_trace_can_be_printed(home: RunnerHome) -> None:
    """ACTIONS_RUNNER_PRINT_LOG_TO_STDOUT shows on stdout what goes to _diag."""
    env = {"ACTIONS_RUNNER_PRINT_LOG_TO_STDOUT": "1"}
    output = home.run(LISTENER, "run", env=env)[1]
    assert "INFO Listener] Runner execution has finished with return code 1" in output


def test_processes_of_a_job_can_outlive_the_listener(
    simulator: Simulator, home: RunnerHome
) -> None:
    """Killed processes of the job speed up its cancel: the job is reported, the runner gone."""
    process, job = home.configured().work("echo $$; trap '' INT TERM; while :; do sleep 1; done")
    step = int(simulator.wait_for("job_output", job_id=job["id"])["text"])
    os.kill(home.listener, signal.SIGINT)
    os.kill(step, signal.SIGKILL)
    assert finish(process)[0] == 0
    assert until(lambda: is_gone(step))
    assert simulator.job(job["id"])["result"] == "failed"
