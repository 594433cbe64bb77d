"""Restricted containers: a harmless restriction is accepted, another one is one line and a code."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from simulator import Simulator
from tests.support import pki
from tests.support.life import ISOLATED, NAMESPACE, Life, until

# x86-64 and arm64 each have their own number of memfd_create(2).
NO_MEMFD = """\
import ctypes, os, struct, sys
number = {"x86_64": 319, "aarch64": 279}[os.uname().machine]
code = [(0x20, 0, 0, 0), (0x15, 0, 1, number), (0x06, 0, 0, 0x00050026), (0x06, 0, 0, 0x7FFF0000)]
program = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *line) for line in code))
class Program(ctypes.Structure):
    _fields_ = [("len", ctypes.c_ushort), ("filter", ctypes.c_void_p)]
about = Program(len(code), ctypes.addressof(program))
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(38, 1, 0, 0, 0) == 0
assert libc.prctl(22, 2, ctypes.byref(about)) == 0
os.execvp(sys.argv[1], sys.argv[1:])
"""


@pytest.fixture
def processes(request: pytest.FixtureRequest) -> Iterator[list[str]]:
    """Words that start a command in a control group with few processes, as --pids-limit does."""
    v1 = Path("/sys/fs/cgroup/pids")
    root = v1 if v1.is_dir() else Path("/sys/fs/cgroup")
    group = root / f"gh-runner-few-{os.getpid()}"
    group.mkdir()
    (group / "pids.max").write_text(str(request.param))
    yield ["sh", "-c", f'echo $$ >{group}/cgroup.procs; exec "$@"', "sh"]
    group.rmdir()


def test_no_core_dumps_at_all(life: Life, simulator: Simulator) -> None:
    """`--ulimit core=0` is accepted, as it forbids more than gh-runner does."""
    simulator.queue_job("exit 0")
    limited = ["sh", "-c", 'ulimit -c 0; exec "$@"', "sh", *NAMESPACE]
    assert life.start(namespace=limited).wait() == 0, life.output


def test_seccomp_without_memory_files(life: Life) -> None:
    """If seccomp forbids memfd_create(2), one line says so, with 78 and no traceback."""
    script = life.directory / "no_memfd.py"
    script.write_text(NO_MEMFD)
    life.start(namespace=[*NAMESPACE, "/usr/bin/python3", str(script)])
    assert life.wait() == 78, life.output
    assert "memfd_create" in life.error()
    assert "Traceback" not in life.output


@pytest.mark.parametrize("files", [9, 12, 16])
def test_limit_of_open_files(life: Life, files: int) -> None:
    """If a limit is reached before the settings are read, one line names it, and the code is 78."""
    limited = ["sh", "-c", f'ulimit -n {files}; exec "$@"', "sh"]
    assert life.start(namespace=[*NAMESPACE, *limited]).wait() == 78, life.output
    assert "ulimit" in life.error()
    assert "Traceback" not in life.output


@pytest.mark.parametrize("processes", [2, 3, 4, 5, 6, 8], indirect=True)
def test_limit_of_processes(life: Life, simulator: Simulator, processes: list[str]) -> None:
    """Under any limit of processes the life ends soon, with one line and a documented code."""
    life.start(namespace=[*processes, *NAMESPACE])
    assert life.wait(20) == 78, life.output
    assert "--pids-limit" in life.error()
    assert "Traceback" not in life.output
    assert simulator.runners() == []


def test_limit_of_file_sizes(life: Life, simulator: Simulator) -> None:
    """A limit that not even a file in memory keeps is named, with 78 and without a traceback."""
    # The limit counts for a log in a file as well, so the log is a pipe.
    limited = [*ISOLATED, "sh", "-c", 'ulimit -f 0; exec "$@"', "sh", *life.program]
    done = subprocess.run(limited, env=life.env, capture_output=True, text=True, check=False)
    assert done.returncode == 78, done
    assert "--ulimit fsize" in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert simulator.requests() == []


def test_groups_that_the_container_was_given(life: Life, simulator: Simulator) -> None:
    """Jobs have the groups of `--group-add`, and none of root's own."""
    job = simulator.queue_job("id -G")
    given = ["setpriv", "--groups=0,4242", "--", *NAMESPACE]
    assert life.start(namespace=given).wait() == 0, life.output
    groups = simulator.job(job["id"])["log"].split()
    assert "4242" in groups
    assert "0" not in groups


def test_state_directory_that_a_job_replaces(life: Life, simulator: Simulator) -> None:
    """If a job puts a link in the state file's place, root does not write to its target."""
    victim = life.directory / "victim"
    victim.write_text("precious")
    victim.chmod(0o600)
    state = life.home / "state"
    simulator.queue_job(
        f"mv {state} {state}.old; mkdir {state}; cd {state}; ln -s {victim} state.json;"
        f" ln -s {victim} state.json.new; ln -s {victim} .state.json.1"
    )
    assert life.start(RUNNER_STATE_DIR=str(state)).wait() == 0, life.output
    assert victim.read_text() == "precious"


@pytest.mark.parametrize("credential", ["until-exit", "until-job"])
def test_directories_above_ours_that_a_job_replaces(
    life: Life, simulator: Simulator, credential: str
) -> None:
    """If a job replaces a directory of the path by a link, root writes nothing to its target."""
    mine, victim = life.home / "mine", life.directory / "victim"
    mine.mkdir(mode=0o777)
    os.chown(mine, 65534, 65534)
    victim.mkdir()
    authority = pki.authority(life.directory).path
    authority.chmod(0o644)
    simulator.queue_job(f"mv {mine} {mine}.old; ln -s {victim} {mine}")
    life.start(
        RUNNER_STATE_DIR=str(mine / "state"),
        RUNNER_METRICS_FILE=str(mine / "figures" / "gh-runner.prom"),
        RUNNER_CA_FILE=str(authority),
        RUNNER_CREDENTIAL=credential,
    )
    assert life.wait() in (0, 74), life.output
    assert "Traceback" not in life.output
    assert list(victim.iterdir()) == []


@pytest.mark.parametrize(
    "step",
    [
        "rm -rf _diag; touch _diag",
        "rm -rf _diag; ln -s /dev/zero _diag",
        "rm -rf _diag",
        "for log in _diag/*; do rm $log; mkfifo $log; done",
        "for log in _diag/*; do rm $log; ln -s /dev/zero $log; done",
        "rm -f .runner; mkfifo .runner",
        "head -c 5000000 /dev/zero >.runner",
        "rm -rf _work/../_diag _work/_temp",
    ],
)
def test_files_that_a_job_leaves_decide_nothing(
    life: Life, simulator: Simulator, step: str
) -> None:
    """Whatever a job does to the runner's files, it was a job, and nothing stays registered."""
    job = simulator.queue_job(f"cd {life.home}; {step}; true")
    assert life.start().wait() == 0, life.output
    assert simulator.job(job["id"])["result"] == "succeeded"
    assert simulator.runners() == []
    assert "Traceback" not in life.output


def test_registration_token_that_has_expired(life: Life, simulator: Simulator) -> None:
    """GitHub refuses config.sh before it registers: 77, and no message says a runner is left."""
    life.env.pop("GITHUB_PERSONAL_TOKEN")
    assert life.start(RUNNER_TOKEN="A" * 29).wait() == 77, life.output
    assert "valid for an hour" in life.error()
    assert "may still be registered" not in life.output
    assert simulator.runners() == []


def test_new_volumes_of_root_are_handed_over(life: Life, simulator: Simulator) -> None:
    """The runner's user gets empty volumes, which Docker and Kubernetes mount as root's."""
    for name in ("_work", "_work/_tool", "_diag"):
        folder = life.home / name
        folder.mkdir(exist_ok=True)
        os.chown(folder, 0, 0)
    simulator.queue_job(f"touch {life.home}/_work/_tool/node")
    assert life.start().wait() == 0, life.output
    assert (life.home / "_work/_tool/node").exists()


def test_tools_that_belong_to_root(life: Life, simulator: Simulator) -> None:
    """A volume with files stays root's; jobs may read it, and a message names the owner."""
    tools = life.home / "_work" / "_tool"
    tools.mkdir(parents=True)
    (tools / "node").touch()
    os.chown(tools, 0, 0)
    simulator.queue_job()
    assert life.start().wait() == 0, life.output
    assert f"cannot write to {tools}; it belongs to uid 0; make it that of" in life.output


def test_work_folder_without_programs(life: Life, simulator: Simulator) -> None:
    """`docker run --tmpfs` mounts noexec: that is a warning only, since shell scripts still run."""
    work = life.home / "_work"
    mount = f'mkdir -p {work}; mount -t tmpfs -o noexec,mode=1777 tmpfs {work}; exec "$@"'
    simulator.queue_job()
    namespace = [*NAMESPACE, "sh", "-c", mount, "sh"]
    assert life.start(namespace=namespace, RUNNER_MIN_FREE_DISK="0").wait() == 0, life.output
    assert f"{work} is mounted noexec" in life.output


def test_container_that_has_had_a_job(life: Life, simulator: Simulator) -> None:
    """A warning says that the same container has had a job before."""
    simulator.queue_job()
    assert life.start().wait() == 0, life.output
    assert "has had a job before" not in life.output
    simulator.queue_job()
    assert life.start().wait() == 0, life.output
    assert "has had a job before" in life.output


def test_stop_signal_that_is_none(life: Life, simulator: Simulator) -> None:
    """After `--stop-signal SIGQUIT` a message says that this signal does not stop the container."""
    life.start()
    simulator.wait_for("session_opened")
    for number in (signal.SIGWINCH, signal.SIGQUIT, signal.SIGHUP, signal.SIGQUIT):
        life.signal(number)
    until(lambda: "does not stop this container" in life.output)
    assert life.signal().wait() == 143, life.output
    assert life.output.count("does not stop this container") == 1
    assert "SIGWINCH" not in life.output


def test_drain_says_which_limit_it_needs(life: Life, simulator: Simulator) -> None:
    """The log has the time limit for the engine, which would otherwise kill the container."""
    simulator.queue_job("echo begun; sleep 0.5")
    life.start(RUNNER_DRAIN_TIMEOUT="100", RUNNER_STOP_TIMEOUT="9")
    simulator.wait_for("job_output", text="begun")
    assert life.signal().wait() == 0, life.output
    [told] = [line for line in life.log if line.get("event_name") == "job.draining"]
    assert told["limit"] == 109
