"""A container in all but name: a program as PID 1 of a PID namespace, started as the image does.

All pids are those that this process sees. Standard library only.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

USER = "nobody"  # jobs run as this user, which every system has and which has no rights
# With a /proc of its own the container sees its own processes only.
NAMESPACE = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]
# A blocked signal stays pending across exec: none is lost while Python starts.
BLOCKED = ["/usr/bin/env", "--block-signal"]
# The image's own command, in this Python.
COMMAND = [sys.executable, "-I", str(Path(__file__).parents[1] / "image/gh-runner")]
PROGRAM = [*BLOCKED, *COMMAND]
_LOOK = 0.0005  # seconds between two looks; no event tells that a process has begun
_START = 30.0  # seconds; PID 1 has to begin within them
_KILL = 5.0  # seconds; the kernel needs far less to end what was killed


class Container:
    """A command that runs as PID 1.

    `namespace` is the command that makes the namespace. If it is empty, the command itself counts
    as PID 1.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        namespace: Sequence[str] = NAMESPACE,
        **streams: Any,
    ) -> None:
        """Start the command; `streams` are stdin, stdout and stderr as Popen takes them."""
        self.began = time.monotonic()
        self._is_own_pid_1 = not namespace
        self.process: subprocess.Popen[bytes] = subprocess.Popen(
            [*namespace, *command],
            env=env,
            start_new_session=True,  # Ctrl-C is for this program alone
            **{"stdin": subprocess.DEVNULL, **streams},
        )

    @property
    def pid_1(self) -> int:
        """The pid of PID 1, awaited if need be; ProcessLookupError if none begins."""
        if self._is_own_pid_1:
            return self.process.pid
        deadline = time.monotonic() + _START
        while not (pids := [p for p in children(self.process.pid) if _is_beyond(p)]):
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise ProcessLookupError("the namespace has no PID 1")
            time.sleep(_LOOK)
        return pids[0]

    def inside(self) -> dict[int, str]:
        """Return the processes of the namespace: their names by their pids."""
        namespace = os.readlink(f"/proc/{self.pid_1}/ns/pid")
        found = {}
        for entry in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if os.readlink(entry / "ns/pid") == namespace:
                    found[int(entry.name)] = comm(int(entry.name))
        return found

    def signal(self, signum: int = signal.SIGTERM) -> None:
        """Send PID 1 a signal, as `docker stop` does."""
        os.kill(self.pid_1, signum)

    @property
    def exit_code(self) -> int | None:
        """The exit code of PID 1 as Docker shows it; None while it lives."""
        code = self.process.poll()
        return 128 - code if code is not None and code < 0 else code

    def wait(self, timeout: float = 30.0) -> int:
        """Return the exit code once PID 1 has ended; TimeoutExpired after `timeout` seconds."""
        if self.process.poll() is None:
            # Popen.wait with a time-out looks every 50 ms only.
            ended = os.pidfd_open(self.process.pid)
            poller = select.poll()
            poller.register(ended, select.POLLIN)
            over = poller.poll(timeout * 1000)
            os.close(ended)
            if not over:
                raise subprocess.TimeoutExpired(self.process.args, timeout)
            self.process.wait()
        code = self.exit_code
        assert code is not None
        return code

    def end(self) -> None:
        """Kill every process of the container, and close its pipes."""
        if self.process.poll() is None:  # the pid of a reaped process may be another's
            # --kill-child is PR_SET_PDEATHSIG, which a process loses when it changes its user.
            for pid in children(self.process.pid):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            if not self._is_own_pid_1:  # unshare ends when its namespace is empty
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self.process.wait(_KILL)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()


def children(pid: int) -> list[int]:
    """Return the children of a process, oldest first; none once it has ended."""
    with contextlib.suppress(OSError):
        return [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


def _is_beyond(pid: int) -> bool:
    """Whether a process is in a new PID namespace; helpers that run before unshare are not."""
    try:
        return os.readlink(f"/proc/{pid}/ns/pid") != os.readlink("/proc/self/ns/pid")
    except PermissionError:
        # An ordinary user's PID 1, which has closed its files to that user. The kernel says the
        # same of a helper that ends while its link is read (proc_ns_readlink in fs/proc).
        return os.path.exists(f"/proc/{pid}")
    except OSError:  # it has ended
        return False


def is_started(pid: int, command: Sequence[str]) -> bool:
    """Whether `env` has blocked the signals and become the program: now none is lost.

    `command` begins with BLOCKED. SigBlk of /proc/PID/status does not tell: while a process sleeps
    in sigtimedwait, the kernel shows the signals that it waits for as not blocked.
    """
    expected = [word.encode() for word in command[len(BLOCKED) :]]
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return words[: len(expected)] == expected


def comm(pid: int) -> str:
    """Return the name of a process as the kernel knows it; OSError if it has ended."""
    return Path(f"/proc/{pid}/comm").read_text().strip()


def field(pid: int, name: str, file: str = "status") -> str:
    """Return one field of /proc/PID/status, or of a file like it; "" if there is none."""
    try:
        lines = Path(f"/proc/{pid}/{file}").read_text().splitlines()
    except OSError:
        return ""
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith(name)), "")


def state(pid: int) -> str:
    """Return the state of a process as ps shows it (R, S, T, Z); "" once it has ended."""
    return field(pid, "State:")[:1]
