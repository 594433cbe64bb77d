"""`exec` alone in a PID namespace of its own, seen from outside."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from simulator import container
from simulator.container import children, state
from tests.support import mutants

VICTIMS = Path(__file__).parent / "victims"
PYTHON = [sys.executable, "-I", "-S"]
# The directory of the package under test; without it the installed package is tested.
MUTANT = os.environ.get("EXEC_MUTANT")
PROGRAM = mutants.program(Path(MUTANT)) if MUTANT else container.PROGRAM
TIMEOUT = float(os.environ.get("EXEC_TIMEOUT", "45"))  # seconds


def wait_until(condition: Callable[[], object]) -> None:
    """Wait for what no event announces, such as a state in /proc."""
    deadline = time.monotonic() + TIMEOUT
    while not condition():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.002)


def victim(name: str, *arguments: object) -> list[str]:
    """Return the command line of a victim program."""
    return [*PYTHON, str(VICTIMS / f"{name}.py"), *map(str, arguments)]


def is_stopped(pid: int) -> bool:
    """Return whether a process is stopped, as by Ctrl-Z."""
    return state(pid) == "T"


def first_child(pid: int) -> int:
    """Wait for the first child of a process, and return its pid."""
    wait_until(lambda: children(pid))
    return children(pid)[0]


class Exec(container.Container):
    """One `exec` that runs."""

    def __init__(
        self, as_pid_1: bool, *arguments: str, wrapper: tuple[str, ...] = (), **streams: Any
    ) -> None:
        """Start it; `wrapper` is a program that starts the words after it."""
        above = [] if as_pid_1 else victim("parent")
        self.is_pid_1 = as_pid_1
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 - end() closes it
        standard: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": self._stderr}
        command = [*above, *wrapper, *PROGRAM, "exec", *arguments]
        super().__init__(command, **(standard | streams))

    @property
    def pid(self) -> int:
        """The pid of the init."""
        return self.pid_1 if self.is_pid_1 else first_child(self.pid_1)

    @property
    def child(self) -> int:
        """The pid of its first child: the command, or what that has become."""
        return first_child(self.pid)

    def signal(self, signum: int = signal.SIGTERM) -> None:
        """Send a signal to the init."""
        os.kill(self.pid, signum)

    def line(self) -> str:
        """Wait for the next line of its output."""
        assert self.process.stdout is not None
        return str(self.process.stdout.readline().decode().rstrip("\n"))

    def ready(self) -> None:
        """Wait for the line by which a victim says that it has started."""
        line = self.line()
        assert line.startswith("ready (pid "), (line, self.stderr())

    def rest(self) -> list[str]:
        """Wait for the end of its output, and return the lines."""
        assert self.process.stdout is not None
        return str(self.process.stdout.read().decode()).splitlines()

    def wait(self, timeout: float = TIMEOUT) -> int:
        """Wait for its end, and return its exit code."""
        return super().wait(timeout)

    def stderr(self) -> str:
        """Return what the init and the victim have written to stderr so far."""
        return os.pread(self._stderr.fileno(), 1 << 20, 0).decode()

    def end(self) -> None:
        """Kill every process of its namespace."""
        super().end()
        self._stderr.close()


@contextlib.contextmanager
def starter(as_pid_1: bool) -> Iterator[Callable[..., Exec]]:
    """Give a function that starts `exec` with arguments, and end all that it started."""
    with contextlib.ExitStack() as stack:

        def start(*arguments: str, **options: Any) -> Exec:
            started = Exec(as_pid_1, *arguments, **options)
            stack.callback(started.end)
            return started

        yield start
