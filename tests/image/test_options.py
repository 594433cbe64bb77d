"""Containers with unusual options of `docker run`."""

from __future__ import annotations

import os
import pty
import re
import subprocess

from simulator import Simulator
from tests.image.conftest import StartRunner
from tests.image.engine import Container, Engine

PROMPT = b"# "
CAPABILITIES = ["CHOWN", "DAC_OVERRIDE", "KILL", "SETGID", "SETUID"]
OPTIONS = {
    "user": ["--user", "runner"],
    "unprivileged": [
        *("--user", "1001:1001", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"),
    ],
    "read-only": [
        *("--read-only", "--tmpfs", "/run", "--tmpfs", "/tmp", "--volume", "/home/runner"),
    ],
    "few-capabilities": ["--cap-drop", "ALL", *(f"--cap-add={name}" for name in CAPABILITIES)],
    "init": ["--init"],
    "pid-host": ["--pid", "host"],
}
REFUSED = {
    "RUNNER_USER: only root can become runner": ["--user", "1234:1234"],
    "RUNNER_HOME: 1234 cannot write to /home/runner; let the image": ["--user", "1234"],
    "RUNNER_HOME: runner cannot write to /home/runner": ["--read-only"],
    "RUNNER_USER: root cannot run jobs as runner without": ["--cap-drop", "ALL"],
    "capabilities SETUID": ["--cap-drop", "SETUID"],
}


def on_a_terminal(engine: Engine, *arguments: str, typed: str) -> tuple[int, str]:
    """Run a shell on a terminal of its own, type something, return its exit code and output."""
    here, there = pty.openpty()
    process = subprocess.Popen(
        [engine.program, *arguments], stdin=there, stdout=there, stderr=there
    )
    os.close(there)
    output, is_typed = b"", False
    try:
        while part := os.read(here, 4096):
            output += part
            # Only now: while the client changes the terminal's mode, it can take typed text for the
            # end of its input, and hang up the shell's terminal.
            if PROMPT in output and not is_typed:
                is_typed = bool(os.write(here, typed.encode()))
    except OSError:  # EIO: no process has the other end open any more
        pass
    os.close(here)
    return process.wait(), output.decode(errors="replace")


def test_command(docker: Engine, image: str) -> None:
    """`docker run IMAGE COMMAND` runs that command, and ends with its exit code."""
    assert docker("run", "--rm", image, "id", "--user", "--name") == "root"
    assert docker.attempt("run", "--rm", image, "bash", "-c", "exit 7").returncode == 7


def test_shell_on_a_terminal(docker: Engine, image: str) -> None:
    """`docker run -it IMAGE bash` is a shell with a terminal and job control."""
    typed = "tty; sleep 1 & jobs; fg; exit $((6 * 7))\n"
    code, output = on_a_terminal(docker, "run", "--rm", "-it", image, "bash", typed=typed)
    assert code == 42
    assert "/dev/pts/0" in output
    assert re.search(r"\[1\]\+? +Running +sleep 1", output)
    assert "job control" not in output


def test_exec(docker: Engine, start: StartRunner, github: Simulator) -> None:
    """`docker exec` works beside the runner, with and without a terminal."""
    container = start()
    github.wait_for("session_opened")
    assert container.execute("gh-runner", "status").startswith("healthy")
    code, output = on_a_terminal(docker, "exec", "-it", container.id, "bash", typed="exit 9\n")
    assert code == 9, output


def test_lives(docker: Engine, start: StartRunner, github: Simulator) -> None:
    """With each set of options one container does a job, and an idle one stops; nothing is left."""
    jobs, busy, idle = {}, {}, {}
    for name, options in OPTIONS.items():  # they all live side by side
        jobs[name] = github.queue_job(labels=[name])
        busy[name] = start(*options, RUNNER_NAME=f"busy-{name}", RUNNER_LABELS=name)
        idle[name] = start(*options, RUNNER_NAME=f"idle-{name}")
    for name in OPTIONS:
        github.wait_for("session_opened", runner=f"idle-{name}")
    docker("stop", *(container.id for container in idle.values()))
    for name in OPTIONS:
        assert idle[name].wait() == 143, (name, idle[name].logs())
        assert busy[name].wait() == 0, (name, busy[name].logs())
        assert github.job(jobs[name]["id"])["result"] == "succeeded", name
    assert github.runners() == []


def test_state_without_root(start: StartRunner, github: Simulator) -> None:
    """Another user than root has a state file; on a read-only root there is one warning instead."""
    begun = {
        "user": start("--user", "runner", RUNNER_NAME="user"),
        "read-only": start(
            *("--read-only", "--tmpfs", "/tmp", "--volume", "/home/runner"), RUNNER_NAME="read-only"
        ),
    }
    for name, container in begun.items():
        github.wait_for("session_opened", runner=name)
        assert " idle" in container.execute("gh-runner", "status")
        container.stop()
        assert container.wait() == 143, container.logs()
    assert begun["user"].logs().count("no state file can be written") == 0
    assert begun["read-only"].logs().count("no state file can be written") == 1


def test_refusals(start: StartRunner, github: Simulator) -> None:
    """A container in which no runner can live says why, ends with 78, and registers nothing."""
    containers = {word: start(*options) for word, options in REFUSED.items()}
    for word, container in containers.items():
        assert container.wait() == 78, word
        assert word in container.logs()
    assert [r for r in github.requests() if r["method"] == "POST"] == []


def test_strangers_survive_pid_host(
    docker: Engine, image: str, start: StartRunner, github: Simulator
) -> None:
    """With --pid=host a stop during a job ends the job's processes and no others."""
    bystander = Container(docker, "--entrypoint", "sleep", image, "1000", wait=False)
    try:
        github.queue_job("echo begun; sleep 60")
        container = start("--pid", "host", RUNNER_CANCEL_TIMEOUT="1")
        github.wait_for("job_output")
        assert bystander.state()["Running"]
        container.stop()
        assert container.wait() == 143, container.logs()
        assert bystander.state()["Running"]
    finally:
        bystander.remove()
