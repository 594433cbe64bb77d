"""One life of the real program against the simulator, as PID 1 of a new PID namespace."""

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

__all__ = ["ISOLATED", "NAMESPACE", "PROGRAM", "TOKEN", "USER", "Life", "directory", "until"]
TOKEN = "ghp_simulator"


_ENGINE = "/run/docker.sock"
_HIDE = 'mount --bind "$0" "$1"; shift; exec "$@"'
# Covers the host's Docker socket by a file that is no socket and that is nobody's to write.
# The container would see the host's engine otherwise, and give jobs the group of its socket.
ISOLATED = [
    *(
        ["unshare", "--mount", "sh", "-ec", _HIDE, "/proc/sys/kernel/cap_last_cap", _ENGINE]
        if os.path.exists(_ENGINE)
        else []
    ),
    *NAMESPACE,
]


class Life:
    """A container in all but name, with a runner, an environment and an exit code."""

    def __init__(self, simulator: Simulator, directory: Path, **options: Any) -> None:
        """Write a runner distribution; nothing runs until `start`."""
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
            "RUNNER_LOG_FORMAT": "json",
            "RUNNER_USER": USER,
            "RUNNER_HOME": str(self.home),
            "RUNNER_STATE_DIR": str(directory / "state"),
        }
        self._container: Container | None = None
        simulator.make_distribution(self.home, owner=USER, **options)

    def start(self, *arguments: str, namespace: Sequence[str] | None = None, **env: str) -> Life:
        """Start the program; keywords are settings."""
        environment = {k: v for k, v in {**self.env, **env}.items() if v != ""}
        with (self.directory / "log").open("wb") as log:
            self._container = Container(
                [*self.program, *arguments],
                env=environment,
                namespace=ISOLATED if namespace is None else namespace,
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
        """The process outside the namespace that was started."""
        return self.container.process

    @property
    def pid_1(self) -> int:
        """The pid of PID 1, seen from outside."""
        return self.container.pid_1

    def inside(self) -> dict[int, str]:
        """Return the processes of the namespace: their names by their pids outside."""
        return self.container.inside()

    def pid_of(self, comm: str) -> int:
        """Return the pid, seen from outside, of a process with that name."""
        return int(until(lambda: [pid for pid, name in self.inside().items() if name == comm])[0])

    def signal(self, signum: int = signal.SIGTERM) -> Life:
        """Send a signal to PID 1, as `docker stop` does."""
        self.container.signal(signum)
        return self

    def wait(self, timeout: float = 30) -> int:
        """Return the exit code."""
        return self.container.wait(timeout)

    def end(self) -> None:
        """Kill every process that is left."""
        if self._container is not None:
            self._container.end()

    @property
    def output(self) -> str:
        """Everything that was printed so far."""
        log = self.directory / "log"
        return log.read_text(errors="replace") if log.exists() else ""

    @property
    def log(self) -> list[dict[str, Any]]:
        """Return the log lines of gh-runner; `event` is the name, `level` the severity."""
        lines = [json.loads(line) for line in self.output.splitlines() if line.startswith("{")]
        return [
            {**line, "event": line["body"], "level": line["severity_text"].lower()}
            for line in lines
            if line.get("source") != "runner"
        ]

    def error(self) -> str:
        """Return the message of the last error in the log, with its hint."""
        errors = [f"{e['event']} {e.get('hint', '')}" for e in self.log if e["level"] == "error"]
        assert errors, self.output
        return errors[-1]


def until(look: Any, timeout: float = 30) -> Any:
    """Call `look` until its result is true, and return that; for changes without an event."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            if result := look():
                return result
        time.sleep(0.005)
    raise AssertionError(f"nothing came of {look} in {timeout} s")


@contextlib.contextmanager
def directory() -> Iterator[Path]:
    """Make a directory that the runner's user may enter; pytest's own may not be entered."""
    path = Path(tempfile.mkdtemp(prefix="gh-runner-"))
    path.chmod(0o755)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
