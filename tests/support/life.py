"""One life of the real program, as PID 1 of a new PID namespace, against the simulator."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from simulator import Simulator

USER = "nobody"
TOKEN = "ghp_simulator"
NAMESPACE = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]
PROGRAM = ["/usr/bin/env", "--block-signal", sys.executable, "-I", "-m", "entrypoint"]


class Life:
    """A container in all but name: a PID namespace, an environment, an exit code."""

    def __init__(self, simulator: Simulator, directory: Path, **options: Any) -> None:
        """Prepare a runner distribution; nothing runs until `start`."""
        self.simulator = simulator
        self.home = directory / "runner"
        self.directory = directory
        self.program = PROGRAM
        self.env = {
            "PATH": os.environ["PATH"],
            "GITHUB_OWNER": "acme",
            "GITHUB_REPOSITORY": "shop",
            "GITHUB_PERSONAL_TOKEN": TOKEN,
            "GITHUB_API_URL": simulator.url,
            "RUNNER_NAME": "r",
            "RUNNER_USER": USER,
            "RUNNER_HOME": str(self.home),
            "RUNNER_STATE_DIR": str(directory / "state"),
        }
        self._process: subprocess.Popen[bytes] | None = None
        simulator.make_distribution(self.home, owner=USER, **options)

    def start(self, *arguments: str, namespace: list[str] | None = None, **env: str) -> Life:
        """Start the program; settings are given as keywords."""
        environment = {k: v for k, v in {**self.env, **env}.items() if v != ""}
        with (self.directory / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [*(NAMESPACE if namespace is None else namespace), *self.program, *arguments],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        return self

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The process that was started, outside the namespace."""
        assert self._process is not None
        return self._process

    @property
    def pid_1(self) -> int:
        """The pid, seen from here, of the process that is PID 1 inside."""
        return int(until(self._children)[0])

    def inside(self) -> dict[int, str]:
        """The processes of the namespace: their names by the pids that they have out here."""
        namespace = os.readlink(f"/proc/{self.pid_1}/ns/pid")
        found = {}
        for entry in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if os.readlink(entry / "ns/pid") == namespace:
                    found[int(entry.name)] = (entry / "comm").read_text().strip()
        return found

    def pid_of(self, comm: str) -> int:
        """The pid, seen from here, of the first process inside with that name."""
        return int(until(lambda: [pid for pid, name in self.inside().items() if name == comm])[0])

    def signal(self, signum: int = signal.SIGTERM) -> Life:
        """Send a signal to PID 1, as `docker stop` does."""
        os.kill(self.pid_1, signum)
        return self

    def wait(self, timeout: float = 30) -> int:
        """Return the exit code."""
        return self.process.wait(timeout)

    def end(self) -> None:
        """Kill whatever is left, as the end of a failed test must."""
        if self._process is not None and self._process.poll() is None:  # else its pid is free
            # Not all go with their parent: one that changes its user forgets PR_SET_PDEATHSIG.
            for pid in self._children():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(5)  # unshare ends when nobody is left in its namespace
            self._process.kill()
            self._process.wait()

    def _children(self) -> list[int]:
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        with contextlib.suppress(OSError):
            return [int(pid) for pid in children.read_text().split()]
        return []

    @property
    def output(self) -> str:
        """All that was printed so far."""
        return (self.directory / "log").read_text(errors="replace")

    @property
    def log(self) -> list[dict[str, Any]]:
        """Our own log lines."""
        return [json.loads(line) for line in self.output.splitlines() if line.startswith("{")]

    def error(self) -> str:
        """The message of the last error that was logged, with its hint."""
        errors = [f"{e['event']} {e.get('hint', '')}" for e in self.log if e["level"] == "error"]
        assert errors, self.output
        return errors[-1]


def until(look: Any, timeout: float = 30) -> Any:
    """Return what `look` returns as soon as that is true; for what sends no event."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            if result := look():
                return result
        time.sleep(0.005)
    raise AssertionError(f"nothing came of {look} in {timeout} s")


@contextlib.contextmanager
def directory() -> Iterator[Path]:
    """A temporary directory that the runner's user can enter, as pytest's is not."""
    path = Path(tempfile.mkdtemp(prefix="gh-runner-"))
    path.chmod(0o755)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
