"""Starts `exec` alone in a PID namespace of its own, and looks at it from outside."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.support import mutants

VICTIMS = Path(__file__).parent / "victims"
PYTHON = [sys.executable, "-I", "-S"]
NAMESPACE = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]
BLOCKED = ["/usr/bin/env", "--block-signal"]
# A directory that holds the package under test; otherwise it is the installed one.
MUTANT = os.environ.get("EXEC_MUTANT")
PROGRAM = (
    mutants.program(Path(MUTANT))
    if MUTANT
    else [*BLOCKED, sys.executable, "-I", "-m", "entrypoint"]
)
TIMEOUT = float(os.environ.get("EXEC_TIMEOUT", "45"))  # seconds


def wait_until(condition: Callable[[], object]) -> None:
    """Poll what sends no event, such as a state in /proc."""
    deadline = time.monotonic() + TIMEOUT
    while not condition():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.002)


def victim(name: str, *arguments: object) -> list[str]:
    """The command line of a victim program."""
    return [*PYTHON, str(VICTIMS / f"{name}.py"), *map(str, arguments)]


def children(pid: int) -> list[int]:
    """The children of a process, oldest first."""
    try:
        return [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:  # it has ended
        return []


def status(pid: int, field: str) -> str:
    """One field of /proc/PID/status; empty if there is no such process."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return ""
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith(field)), "")


def state(pid: int) -> str:
    """The state of a process, as ps shows it: R, S, T, Z."""
    return status(pid, "State")[:1]


def is_stopped(pid: int) -> bool:
    """Whether a process is stopped, as by Ctrl-Z."""
    return state(pid) == "T"


class Exec:
    """One `exec` that runs; pids are those that we see, not those of its namespace."""

    def __init__(
        self, as_pid_1: bool, *arguments: str, wrapper: tuple[str, ...] = (), **popen: Any
    ) -> None:
        """Start it; `wrapper` is a program that starts what follows it."""
        above = [] if as_pid_1 else victim("parent")
        self.is_pid_1 = as_pid_1
        self._depth = 1 if as_pid_1 else 2
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 - close() closes it
        options: dict[str, Any] = {
            "stdin": subprocess.DEVNULL,
            "stdout": subprocess.PIPE,
            "stderr": self._stderr,
        }
        self.process: subprocess.Popen[bytes] = subprocess.Popen(
            [*NAMESPACE, *above, *wrapper, *PROGRAM, "exec", *arguments],
            start_new_session=True,
            **(options | popen),
        )

    @property
    def pid(self) -> int:
        """The init itself."""
        pid = self.process.pid
        for _ in range(self._depth):
            wait_until(lambda pid=pid: children(pid))  # type: ignore[misc]
            pid = children(pid)[0]
        return pid

    @property
    def child(self) -> int:
        """Its first child: the command, or what has become of it."""
        pid = self.pid
        wait_until(lambda: children(pid))
        return children(pid)[0]

    def signal(self, signum: int) -> None:
        """Send a signal to the init."""
        os.kill(self.pid, signum)

    def line(self) -> str:
        """Await the next line of its output."""
        assert self.process.stdout is not None
        return str(self.process.stdout.readline().decode().rstrip("\n"))

    def ready(self) -> None:
        """Await the victim's word that it is there."""
        line = self.line()
        assert line.startswith("ready (pid "), (line, self.stderr())

    def rest(self) -> list[str]:
        """Await the end of its output and return the lines that came."""
        assert self.process.stdout is not None
        return str(self.process.stdout.read().decode()).splitlines()

    def wait(self) -> int:
        """Await its end and return its exit code."""
        return self.process.wait(TIMEOUT)

    def stderr(self) -> str:
        """What it and the victim have written to stderr so far."""
        return os.pread(self._stderr.fileno(), 1 << 20, 0).decode()

    def close(self) -> None:
        """End it with all that lives in its namespace."""
        self.process.kill()
        self.process.wait()
        self._stderr.close()
        if self.process.stdout is not None:
            self.process.stdout.close()


@contextlib.contextmanager
def starter(as_pid_1: bool) -> Iterator[Callable[..., Exec]]:
    """Give a function that starts `exec` with arguments; all are ended afterwards."""
    with contextlib.ExitStack() as stack:

        def start(*arguments: str, **options: Any) -> Exec:
            started = Exec(as_pid_1, *arguments, **options)
            stack.callback(started.close)
            return started

        yield start
