"""One life of the real program, as PID 1 of a new PID namespace, against the simulator."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from simulator import Simulator
from simulator.container import NAMESPACE, PROGRAM, USER, Container

__all__ = ["NAMESPACE", "PROGRAM", "TOKEN", "USER", "Life", "directory", "until"]
TOKEN = "ghp_simulator"


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
        self._container: Container | None = None
        simulator.make_distribution(self.home, owner=USER, **options)

    def start(self, *arguments: str, namespace: Sequence[str] | None = None, **env: str) -> Life:
        """Start the program; settings are given as keywords."""
        environment = {k: v for k, v in {**self.env, **env}.items() if v != ""}
        with (self.directory / "log").open("wb") as log:
            self._container = Container(
                [*self.program, *arguments],
                env=environment,
                namespace=NAMESPACE if namespace is None else namespace,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        return self

    @property
    def container(self) -> Container:
        """The container, once the life has started."""
        assert self._container is not None
        return self._container

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The process that was started, outside the namespace."""
        return self.container.process

    @property
    def pid_1(self) -> int:
        """The pid, seen from here, of the process that is PID 1 inside."""
        return self.container.pid_1

    def inside(self) -> dict[int, str]:
        """The processes of the namespace: their names by the pids that they have out here."""
        return self.container.inside()

    def pid_of(self, comm: str) -> int:
        """The pid, seen from here, of the first process inside with that name."""
        return int(until(lambda: [pid for pid, name in self.inside().items() if name == comm])[0])

    def signal(self, signum: int = signal.SIGTERM) -> Life:
        """Send a signal to PID 1, as `docker stop` does."""
        self.container.signal(signum)
        return self

    def wait(self, timeout: float = 30) -> int:
        """Return the exit code."""
        return self.container.wait(timeout)

    def end(self) -> None:
        """Kill whatever is left, as the end of a failed test must."""
        if self._container is not None:
            self._container.end()

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
