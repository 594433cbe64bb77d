"""Health checks: a runner is healthy while it registers, waits and works."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from simulator import Simulator
from tests.support.life import NAMESPACE, Life, until

STATUS = [sys.executable, "-I", "-m", "entrypoint", "status"]


def status(life: Life, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `gh-runner status` in the container, as HEALTHCHECK does."""
    enter = ["nsenter", f"--target={life.pid_1}", "--pid", "--mount"]
    return subprocess.run(
        [*enter, *STATUS, *arguments],
        env={"PATH": os.environ["PATH"], "RUNNER_STATE_DIR": life.env["RUNNER_STATE_DIR"]},
        capture_output=True,
        text=True,
        check=False,
    )


def facts(life: Life) -> dict[str, Any]:
    """Return what `gh-runner status --json` says."""
    found: dict[str, Any] = json.loads(status(life, "--json").stdout)
    return found


def test_idle_runner_is_healthy(life: Life, simulator: Simulator) -> None:
    """A runner that waits for a job is healthy, and its name and id are printed."""
    life.start()
    simulator.wait_for("listening")
    done = status(life)
    assert done.returncode == 0
    assert "idle" in done.stdout
    [runner] = simulator.runners()
    found = facts(life)
    assert found["name"] == runner["name"]
    assert found["id"] == runner["id"]


def test_working_runner_is_busy(life: Life, simulator: Simulator) -> None:
    """While a worker is there the runner is busy, and healthy."""
    simulator.queue_job("echo begun; sleep 60")
    life.start(RUNNER_CANCEL_TIMEOUT="0.1")
    simulator.wait_for("job_output", text="begun")
    assert facts(life) | {"activity": "busy", "healthy": True} == facts(life)


def test_registering_runner_is_healthy(life: Life, simulator: Simulator) -> None:
    """A slow GitHub does not make the runner unhealthy."""
    simulator.fault(path="/registration-token", hang=True)
    life.start()
    simulator.wait_for("request", path="/registration-token")
    assert status(life).returncode == 0
    assert facts(life)["activity"] == "registering"


def test_runner_without_listener_is_not_healthy(life: Life, simulator: Simulator) -> None:
    """A runner is unhealthy if its listener is gone and PID 1 does nothing about it."""
    life.start()
    simulator.wait_for("listening")
    os.kill(life.pid_1, signal.SIGSTOP)
    for name in ("run.sh", "run-helper.sh", "Runner.Listener"):
        os.kill(life.pid_of(name), signal.SIGKILL)
    until(lambda: not facts(life)["healthy"])
    done = status(life)
    assert done.returncode == 1
    assert "listener gone" in done.stdout


def test_state_file_tells_of_the_end(life: Life, simulator: Simulator) -> None:
    """After the end the state file says that, and why."""
    simulator.fault(path="/registration-token", status=401, times=0)
    assert life.start().wait() == 77
    state = json.loads((life.directory / "state/state.json").read_text())
    assert state["phase"] == "gone"
    assert "401" in state["error"]


def test_nothing_is_healthy_where_no_runner_is(tmp_path: Any) -> None:
    """Without a state file and without a listener there is nothing healthy."""
    done = subprocess.run(
        [*NAMESPACE, *STATUS],
        env={"PATH": os.environ["PATH"], "RUNNER_STATE_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "unknown" in done.stdout


@pytest.mark.parametrize("arguments", [["--yaml"], ["now"], ["--json", "--json"], ["--state"]])
def test_misuse_is_told(arguments: list[str]) -> None:
    """An unknown argument is refused in one line."""
    done = subprocess.run([*STATUS, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 78
    assert len(done.stderr.splitlines()) == 1


def outside(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `gh-runner status --state`, as the host of a virtual machine does."""
    command = [*STATUS, "--state", str(directory), *arguments]
    return subprocess.run(command, env={}, capture_output=True, text=True, check=False, timeout=20)


def test_a_state_directory_is_judged_from_outside(life: Life, simulator: Simulator) -> None:
    """From outside, the state directory shows whether the runner is healthy, and how it ended."""
    life.start()
    simulator.wait_for("listening")
    done = outside(life.directory / "state")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("healthy: r-")
    assert "listening since" in done.stdout
    life.signal()
    assert life.wait() == 143
    done = outside(life.directory / "state", "--json")
    assert done.returncode == 1
    assert json.loads(done.stdout)["activity"] == "gone"


HOSTILE = {
    "a link": lambda path: path.symlink_to("/etc/passwd"),
    "a FIFO": os.mkfifo,
    "a directory": Path.mkdir,
    "a list": lambda path: path.write_text("[1]"),
    "no UTF-8": lambda path: path.write_bytes(b"\xff"),
    "very deep": lambda path: path.write_text("[" * 60_000),
    "a phase that is none": lambda path: path.write_text('{"phase": {"a": []}, "name": 1}'),
}


@pytest.mark.parametrize("make", HOSTILE.values(), ids=HOSTILE)
def test_what_a_job_may_have_put_there_is_not_healthy(
    make: Callable[[Path], object], tmp_path: Path
) -> None:
    """The host neither hangs nor follows links: root in a virtual machine owns the directory."""
    make(tmp_path / "state.json")
    done = outside(tmp_path)
    assert (done.returncode, done.stderr) == (1, "")
    assert "root:" not in done.stdout


def test_a_state_file_sends_nothing_to_the_terminal(tmp_path: Path) -> None:
    """Control characters in a name do not reach the terminal."""
    facts = {"phase": "listening", "name": "a\x1b[2Jb\nc", "since": "now"}
    (tmp_path / "state.json").write_text(json.dumps(facts))
    assert outside(tmp_path).stdout == "healthy: a?[2Jb?c listening since now\n"


def test_read_only_state_directory_is_no_obstacle(life: Life, simulator: Simulator) -> None:
    """A container with a read-only root still runs its job."""
    simulator.queue_job(":")
    assert life.start(RUNNER_STATE_DIR="/proc/nowhere").wait() == 0
