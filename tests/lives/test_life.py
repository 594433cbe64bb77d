"""Whole lives: register, one job, leave; and a stop at any moment before the runner listens."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from entrypoint.settings.schema import variables
from entrypoint.vault import SECRETS
from simulator import Simulator
from simulator.container import BLOCKED, COMMAND
from tests.support import unprivileged
from tests.support.life import NAMESPACE, TOKEN, Life, directory, until

US = "gh-runner"
AT_ONCE = 4
DOCKER_STOP = 10  # seconds
# Seconds. The benchmark has 50 ms, but this machine may be loaded. A program that waited for
# config.sh would need at least 3.
AT_ONCE_MEANS = 2.5
# What GitHub's runner itself gives to each job.
RUNNERS_OWN = {
    *("RUNNER_ARCH", "RUNNER_ENVIRONMENT", "RUNNER_NAME", "RUNNER_OS", "RUNNER_TEMP"),
    *("RUNNER_TRACKING_ID", "RUNNER_WORKSPACE"),
    *("GITHUB_ACTIONS", "GITHUB_JOB", "GITHUB_REPOSITORY", "GITHUB_WORKSPACE"),
}


def our_calls(simulator: Simulator) -> list[str]:
    """Return the requests of gh-runner, without those of config.sh and of the listener."""
    return [
        f"{request['method']} {request['path'].rpartition('/')[2]}"
        for request in simulator.requests()
        if request["user_agent"] == US
    ]


def test_one_job(life: Life, simulator: Simulator) -> None:
    """A runner registers, does one job, leaves with 0, and is off GitHub's list."""
    job = simulator.queue_job("echo hello")
    assert life.start().wait() == 0, life.output
    assert simulator.job(job["id"])["result"] == "succeeded"
    assert simulator.job(job["id"])["log"] == "hello\n"
    assert simulator.runners() == []
    told = [line["event_name"] for line in life.log]
    assert told == ["runner.registered", "job.started", "job.completed", "life.ended"]


def test_the_first_event_tells_the_runner(life: Life) -> None:
    """The first line has the age of the image's runner."""
    life.simulator.queue_job()
    life.start(RUNNER_VERSION="2.336.0", RUNNER_RELEASED="2026-08-20").wait()
    first = life.log[0]
    assert (first["event"], first["runner"], first["released"]) == (
        "starting",
        "2.336.0",
        "2026-08-20",
    )


def test_a_life_with_a_job_asks_github_once(life: Life, simulator: Simulator) -> None:
    """There is one request before config.sh, and none after the job."""
    simulator.queue_job()
    assert life.start().wait() == 0, life.output
    assert our_calls(simulator) == ["POST registration-token"]
    assert simulator.requests()[0]["user_agent"] == US


def test_a_stopped_life_asks_github_three_times_more(life: Life, simulator: Simulator) -> None:
    """A stop also needs a token, and requests that prove that the runner is gone."""
    life.start()
    simulator.wait_for("session_opened")
    assert life.signal().wait() == 143, life.output
    calls = our_calls(simulator)
    assert calls[:2] == ["POST registration-token", "POST remove-token"]
    assert len(calls) <= 4


def test_second_runner_in_the_same_directory(life: Life, simulator: Simulator) -> None:
    """`docker start` of the same container gets a new name, in spite of the old files."""
    names = set()
    for _ in range(2):
        job = simulator.queue_job()
        assert life.start().wait() == 0, life.output
        names.add(simulator.job(job["id"])["runner"])
    assert len(names) == 2
    assert simulator.runners() == []


def test_start_after_a_kill(life: Life, simulator: Simulator) -> None:
    """What SIGKILL left is cleared: the files, and the registration at GitHub."""
    life.start()
    simulator.wait_for("session_opened")
    life.end()
    after = simulator.last_event()
    life.start()
    simulator.wait_for("session_opened", after=after)
    simulator.wait_for("runner_removed", after=after)
    assert "cleared what an earlier start has left: .runner" in life.output
    simulator.wait_for("runner_removed", after=after)  # its removal goes on beside the registration
    assert len(simulator.runners()) == 1
    assert life.signal().wait() == 143, life.output
    assert simulator.runners() == []


def test_not_ephemeral(life: Life, simulator: Simulator) -> None:
    """With RUNNER_EPHEMERAL=0 the runner does one job after another until it is stopped."""
    life.start(RUNNER_EPHEMERAL="0")
    for _ in range(2):
        job = simulator.queue_job()
        simulator.wait_for("job_completed", job_id=job["id"])
    assert life.signal().wait() == 143, life.output
    assert simulator.runners() == []


def test_closed_streams(life: Life, simulator: Simulator) -> None:
    """Without stdin, stdout and stderr the life is the same."""
    job = simulator.queue_job("echo hello")
    life.start(namespace=[*NAMESPACE, "sh", "-c", 'exec "$0" "$@" <&- >&- 2>&-'])
    assert life.wait() == 0
    assert simulator.job(job["id"])["result"] == "succeeded"
    assert simulator.runners() == []


@pytest.mark.timeout(300)
@pytest.mark.parametrize("lives", [12, pytest.param(100, marks=pytest.mark.exhaustive)])
def test_many_lives_in_a_row(simulator: Simulator, lives: int) -> None:
    """A number of jobs in a row all end with 0, and leave no trace."""
    for _ in range(lives):
        simulator.queue_job()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        codes = Counter(pool.map(lambda _: whole_life(simulator), range(lives)))
    assert codes == {0: lives}
    assert Counter(job["result"] for job in simulator.jobs()) == {"succeeded": lives}
    assert len({job["runner"] for job in simulator.jobs()}) == lives
    assert simulator.runners() == []


def whole_life(simulator: Simulator) -> int:
    """Live one life with a job, check that no process and no file is left; return the exit code."""
    with directory() as path:
        life = Life(simulator, path)
        temporary = path / "tmp"
        temporary.mkdir(mode=0o1777)
        before = files(life.home)
        try:
            code = life.start(TMPDIR=str(temporary)).wait()
        finally:
            life.end()
        assert processes_with(str(path)) == []
        assert list(temporary.iterdir()) == []
        assert {name.partition("/")[0] for name in files(life.home) - before} <= {
            *(".env", ".path", "_diag", "_work", "run-helper.sh", "svc.sh")  # as the real one
        }
    return code


def processes_with(text: str) -> list[str]:
    """Return the command lines that contain a text, such as a runner's directory."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            found.append(entry.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
    return [words for words in found if text in words]


def files(root: Path) -> set[str]:
    """Return all files below a directory."""
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    "env",
    [
        {},
        {"RUNNER_EPHEMERAL": "0"},
        {"RUNNER_CREDENTIAL": "until-job"},
        {"RUNNER_IDLE_TIMEOUT": "3600", "RUNNER_WATCHDOG": "3600"},
    ],
    ids=lambda env: " ".join(env) or "as usual",
)
def test_idle_runner_sleeps(life: Life, simulator: Simulator, env: dict[str, Any]) -> None:
    """While the listener waits for a job, PID 1 uses no processor time."""
    life.start(**env)
    simulator.wait_for("session_opened")

    def used() -> str:
        return Path(f"/proc/{life.pid_1}/schedstat").read_text()

    def sleeps() -> bool:
        before = used()
        time.sleep(0.2)
        return used() == before

    until(sleeps)


def test_orphans_are_reaped(life: Life, simulator: Simulator) -> None:
    """Processes that a job leaves to PID 1 do not stay as zombies."""
    job = simulator.queue_job(
        "for i in $(seq 50); do (setsid sh -c 'sleep 0.01 &'); done\n"
        "while ps -eo stat= | grep -q ^Z; do sleep 0.1; done\n"
        "echo clean"
    )
    assert life.start().wait() == 0, life.output
    assert simulator.job(job["id"])["log"] == "clean\n"


def test_job_environment_has_nothing_of_ours(life: Life, simulator: Simulator) -> None:
    """A job sees no setting and no secret of gh-runner, and not how the secret was given."""
    token_file = life.directory / "token"
    token_file.write_text(TOKEN)
    token_file.chmod(0o600)
    job = simulator.queue_job("env -0 | tr '\\n\\0' '_\\n'")
    life.start(
        GITHUB_PERSONAL_TOKEN="",
        GITHUB_PERSONAL_TOKEN_FILE=str(token_file),
        RUNNER_LABELS="a,b",
        MY_OWN="value",
    )
    assert life.wait() == 0, life.output
    env = dict(line.split("=", 1) for line in simulator.job(job["id"])["log"].splitlines())
    ours = {*variables(), *SECRETS, *(f"{secret}_FILE" for secret in SECRETS)} - RUNNERS_OWN
    assert set(env) & ours == set()
    assert not [name for name in env if name.startswith(("GH_RUNNER", "ACTIONS_RUNNER_INPUT"))]
    assert TOKEN not in env.values()
    assert env["MY_OWN"] == "value"


@pytest.mark.parametrize("comm", ["run.sh", "run-helper.sh", "Runner.Listener"])
def test_listener_hears_every_signal(life: Life, simulator: Simulator, comm: str) -> None:
    """No signal is blocked (else no job would end), and SIGPIPE has its default."""
    life.start()
    simulator.wait_for("session_opened")
    status = Path(f"/proc/{life.pid_of(comm)}/status").read_text()
    if comm == "Runner.Listener":  # it is Python here, which ignores SIGPIPE itself
        assert signals(status, "SigBlk") == set()
    else:  # bash blocks SIGCHLD itself while it waits
        assert signals(status, "SigBlk") <= {signal.SIGCHLD}
        assert signals(status, "SigIgn") & {signal.SIGPIPE, signal.SIGXFSZ} == set()


def test_job_hears_every_signal(life: Life, simulator: Simulator) -> None:
    """No signal is blocked or ignored in a step."""
    job = simulator.queue_job("exec cat /proc/self/status")
    assert life.start().wait() == 0, life.output
    status = simulator.job(job["id"])["log"]
    assert signals(status, "SigBlk") == set()
    assert signals(status, "SigIgn") == set()


def signals(status: str, line: str) -> set[int]:
    """Return the signals in a line of /proc/PID/status, without the two of glibc."""
    [mask] = [int(text.split()[1], 16) for text in status.splitlines() if text.startswith(line)]
    return {number for number in range(1, 65) if mask >> (number - 1) & 1} - {32, 33}


def test_ordinary_user(life: Life, simulator: Simulator) -> None:
    """A container that starts as the runner's user works as well."""
    job = simulator.queue_job("id -un")
    user_namespace = [NAMESPACE[0], "--user", "--map-current-user", *NAMESPACE[1:]]
    life.start(namespace=[*unprivileged.prefix(), *user_namespace])
    assert life.wait() == 0, life.output
    assert simulator.job(job["id"])["log"] == f"{unprivileged.USER}\n"
    assert simulator.runners() == []


def test_ordinary_user_cannot_become_another(life: Life, simulator: Simulator) -> None:
    """Without root, jobs can run as the container's own user only."""
    user_namespace = [NAMESPACE[0], "--user", "--map-current-user", *NAMESPACE[1:]]
    life.start(namespace=[*unprivileged.prefix(), *user_namespace], RUNNER_USER="daemon")
    assert life.wait() == 78, life.output
    assert "RUNNER_USER: only root can become daemon" in life.error()
    assert simulator.requests() == []


def openshift() -> list[str]:
    """Return the words that start a container under a user id that has no name, in group 0."""
    user_namespace = [NAMESPACE[0], "--user", "--map-current-user", *NAMESPACE[1:]]
    return [*unprivileged.prefix("1000670000:0"), *user_namespace]


def test_openshift_s_user(life: Life, simulator: Simulator) -> None:
    """Under a user id that the image does not know jobs run with that id, if group 0 may write."""
    for path in (life.home, *life.home.rglob("*")):
        if not path.is_symlink():
            os.chown(path, -1, 0)
            path.chmod(path.stat().st_mode | (path.stat().st_mode & 0o700) >> 3)
    job = simulator.queue_job('echo "$(id -u):$(id -g) $USER"')
    life.start(namespace=openshift())
    assert life.wait() == 0, life.output
    assert simulator.job(job["id"])["log"] == "1000670000:0 1000670000\n"
    assert simulator.runners() == []


def test_openshift_s_user_without_the_files(life: Life, simulator: Simulator) -> None:
    """If group 0 may not write, one line says what the image needs."""
    life.start(namespace=openshift())
    assert life.wait() == 78, life.output
    assert "1000670000 cannot write to" in life.error()
    assert "chgrp -R 0" in life.error()
    assert simulator.requests() == []


def test_not_as_pid_1(life: Life, simulator: Simulator) -> None:
    """Under another init (`docker run --init`) only its own descendants are reaped and swept."""
    job = simulator.queue_job("setsid sleep 300 & echo $!")
    assert life.start(namespace=[]).wait() == 0, life.output
    orphan = int(simulator.job(job["id"])["log"])
    assert not Path(f"/proc/{orphan}").exists()
    assert simulator.runners() == []


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_stop_while_python_starts(life: Life, simulator: Simulator, signum: int) -> None:
    """A stop before the first line of Python is not lost."""
    gate = life.directory / "gate"
    os.mkfifo(gate)
    life.program = [*BLOCKED, "sh", "-c", 'read -r _ <"$0"; exec "$@"', str(gate), *COMMAND]
    life.start()
    with gate.open("w"):  # opens once the shell, which is PID 1 until then, opens it
        life.signal(signum)
    assert life.wait() == 128 + signum, life.output
    assert simulator.runners() == []
    assert not [event for event in simulator.events() if event["kind"] == "session_opened"]


@pytest.mark.parametrize(
    "fault",
    [{"hang": True}, {"delay": 30.0}, {"status": 503, "headers": {"retry-after": "30"}}],
    ids=["hangs", "is slow", "is to be asked later"],
)
def test_stop_while_github_keeps_us_waiting(
    life: Life, simulator: Simulator, fault: dict[str, Any]
) -> None:
    """A stop takes effect at once, whatever GitHub does to the first request."""
    simulator.fault(path="/registration-token", times=0, **fault)
    life.start()
    simulator.wait_for("request")
    stopped = time.monotonic()
    assert life.signal().wait() == 143, life.output
    assert time.monotonic() - stopped < AT_ONCE_MEANS
    assert our_calls(simulator) == ["POST registration-token"]


@pytest.mark.parametrize("stops", [1, 2])
def test_stop_while_config_sh_hangs(life: Life, simulator: Simulator, stops: int) -> None:
    """config.sh may finish, but only for a while; then GitHub is asked by name."""
    simulator.fault(path="/actions/runners/register", hang=True, after=True)
    life.start()
    simulator.wait_for("runner_registered")
    stopped = time.monotonic()
    for _ in range(stops):
        life.signal()
        until(lambda: not pending(life.pid_1))  # two pending signals would merge
    assert life.wait() == 143, life.output
    assert time.monotonic() - stopped < DOCKER_STOP
    assert simulator.runners() == []


def test_stop_while_it_is_unknown_whether_github_has_registered(
    life: Life, simulator: Simulator
) -> None:
    """If GitHub may register the runner later, the end is not called clean."""
    simulator.fault(path="/actions/runner-registration", hang=True)
    life.start()
    simulator.wait_for("request", path="/actions/runner-registration")
    stopped = time.monotonic()
    assert life.signal().wait() == 74, life.output
    assert time.monotonic() - stopped < DOCKER_STOP
    assert "may still be registered" in life.error()
    assert "gh-runner sweep --prefix r-" in life.error()


def pending(pid: int) -> set[int]:
    """Return the signals that a process has not taken yet."""
    return signals(Path(f"/proc/{pid}/status").read_text(), "ShdPnd")


def test_stop_while_config_sh_works(new_life: Callable[..., Life], simulator: Simulator) -> None:
    """A config.sh that works may finish; then its registration is removed."""
    life = new_life(scale=0.5)
    simulator.fault(path="/actions/runners/register", after=True, hold="answer")
    life.start()
    simulator.wait_for("runner_registered")
    life.signal()
    until(lambda: not pending(life.pid_1))
    simulator.release("answer")
    assert life.wait() == 143, life.output
    assert simulator.runners() == []
    assert list(life.home.glob(".credentials*")) == []  # config.sh deletes all or none
    assert "session_opened" not in [event["kind"] for event in simulator.events()]


def test_idle_stop_is_acted_upon_at_once(life: Life, simulator: Simulator) -> None:
    """The log mentions the stop when it comes."""
    life.start()
    simulator.wait_for("session_opened")
    stopped = time.time()
    assert life.signal().wait() == 143, life.output
    [line] = [line for line in life.log if line["event"] == "stopping"]
    assert datetime.fromisoformat(line["timestamp"]).timestamp() - stopped < AT_ONCE_MEANS
