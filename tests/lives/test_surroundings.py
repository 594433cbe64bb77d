"""Stricter surroundings than usual: less is fine where it is safe, else one line and a code."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from simulator import Simulator
from tests.support.life import NAMESPACE, Life

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
    """A command that puts what follows into a group of few processes, as --pids-limit does."""
    v1 = Path("/sys/fs/cgroup/pids")
    root = v1 if v1.is_dir() else Path("/sys/fs/cgroup")
    group = root / f"gh-runner-few-{os.getpid()}"
    group.mkdir()
    (group / "pids.max").write_text(str(request.param))
    yield ["sh", "-c", f'echo $$ >{group}/cgroup.procs; exec "$@"', "sh"]
    group.rmdir()


def test_no_core_dumps_at_all(life: Life, simulator: Simulator) -> None:
    """`--ulimit core=0` is stricter than what we ask for, and fine."""
    simulator.queue_job("exit 0")
    limited = ["sh", "-c", 'ulimit -c 0; exec "$@"', "sh", *NAMESPACE]
    assert life.start(namespace=limited).wait() == 0, life.output


def test_seccomp_without_memory_files(life: Life) -> None:
    """A profile without memfd_create(2): one line that names it, 78, no traceback."""
    script = life.directory / "no_memfd.py"
    script.write_text(NO_MEMFD)
    life.start(namespace=[*NAMESPACE, "/usr/bin/python3", str(script)])
    assert life.wait() == 78, life.output
    assert "memfd_create" in life.error()
    assert "Traceback" not in life.output


@pytest.mark.parametrize("processes", [2, 3, 4, 5, 6, 8], indirect=True)
def test_limit_of_processes(life: Life, simulator: Simulator, processes: list[str]) -> None:
    """Whatever the limit is, the end is one line and a code of the table, and soon."""
    life.start(namespace=[*processes, *NAMESPACE])
    assert life.wait(20) == 78, life.output
    assert "--pids-limit" in life.error()
    assert "Traceback" not in life.output
    assert simulator.runners() == []


def test_groups_that_the_container_was_given(life: Life, simulator: Simulator) -> None:
    """Jobs have the groups of `--group-add`, and none of root's own."""
    job = simulator.queue_job("id -G")
    given = ["setpriv", "--groups=0,4242", "--", *NAMESPACE]
    assert life.start(namespace=given).wait() == 0, life.output
    groups = simulator.job(job["id"])["log"].split()
    assert "4242" in groups
    assert "0" not in groups


def test_state_directory_that_a_job_replaces(life: Life, simulator: Simulator) -> None:
    """A job that puts a link in the place of our file does not have root write where it points."""
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
    """What a job has made of the runner's files: it was a job, and nothing is left registered."""
    job = simulator.queue_job(f"cd {life.home}; {step}; true")
    assert life.start().wait() == 0, life.output
    assert simulator.job(job["id"])["result"] == "succeeded"
    assert simulator.runners() == []
    assert "Traceback" not in life.output


def test_registration_token_that_has_expired(life: Life, simulator: Simulator) -> None:
    """GitHub refuses config.sh before it registers: 77, and nobody is said to be left."""
    life.env.pop("GITHUB_PERSONAL_TOKEN")
    assert life.start(RUNNER_TOKEN="A" * 29).wait() == 77, life.output
    assert "valid for an hour" in life.error()
    assert "may still be registered" not in life.output
    assert simulator.runners() == []
