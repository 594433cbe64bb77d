"""One step of a job: a process whose output is read and which can be cancelled."""

import os
import time
from select import POLLIN, poll

from . import codec
from .stop import PYTHON_IGNORES, SIGCHLD, SIGINT, SIGTERM, Signals

TYPE_CHECKING = False  # importing `typing` costs 8 ms
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .program import Settings

SIGKILL = 9


class Canceled(Exception):
    """The job is cancelled: by its user, or because the listener shuts down."""

    def __init__(self, shutdown: bool) -> None:
        super().__init__(shutdown)
        self.shutdown = shutdown


class Channel:
    """The pipe from the listener. A worker whose listener has ended goes on with its job."""

    def __init__(self, fd: int) -> None:
        self.fd = fd

    def wait(self) -> "dict[str, Any]":
        """Return the next message; EOFError if the listener has ended."""
        size = int.from_bytes(self._read(4), "big")
        return dict(codec.loads(self._read(size).decode()))

    def _read(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            part = os.read(self.fd, size - len(data))
            if not part:
                raise EOFError
            data += part
        return data


class Step:
    """Runs one process after another."""

    def __init__(
        self,
        settings: "Settings",
        signals: Signals,
        channel: Channel,
        ignored: list[int],
        log: "Callable[[str], None]",
    ) -> None:
        self._signals = signals
        self._channel = channel
        self._defaults = [signum for signum in PYTHON_IGNORES if signum not in ignored]
        self._log = log
        self._output_grace = settings.output_grace
        self._escalation = (
            (SIGTERM, settings.interrupt_grace),
            (SIGKILL, settings.terminate_grace),
        )
        self._listener_lives = True
        self._canceled: Canceled | None = None

    def run(self, command: list[str], stdin: str = os.devnull) -> int:
        """Run a command to its end and return its exit code; Canceled if it was cancelled."""
        self._canceled = None
        try:
            process = Process(command, self._defaults, stdin)
        except FileNotFoundError as error:
            self._log(f"##[error]{error}\n")
            return 127
        while not process.is_over():
            self._wait(process)
        if self._canceled is not None:
            raise self._canceled
        return process.exit_code or 0

    def _wait(self, process: "Process") -> None:
        poller = poll()
        poller.register(self._signals.fd, POLLIN)
        if process.output >= 0:
            poller.register(process.output, POLLIN)
        if self._listener_lives:
            poller.register(self._channel.fd, POLLIN)
        timeout = None if process.deadline is None else process.deadline - time.monotonic()
        ready = [fd for fd, _ in poller.poll(timeout and max(0.0, timeout) * 1000)]
        if process.output in ready:
            self._log(process.read())
        if self._channel.fd in ready:
            self._hear(process)
        # As in .NET only SIGCHLD tells of the end. With SIGCHLD blocked the step never ends.
        if SIGCHLD in self._signals.drain() and process.reap():
            process.deadline = time.monotonic() + self._output_grace
        process.escalate_if_due()

    def _hear(self, process: "Process") -> None:
        try:
            message = self._channel.wait()
        except EOFError:
            self._listener_lives = False
            return
        if self._canceled is None:
            self._canceled = Canceled(shutdown=message["type"] == "shutdown")
            process.cancel(self._escalation)


class Process:
    """A process of the job, and the pipe with its output."""

    def __init__(self, command: list[str], defaults: list[int], stdin: str) -> None:
        self.output, write_end = os.pipe()
        given = os.open(stdin, os.O_RDONLY | os.O_CLOEXEC)
        actions = [(os.POSIX_SPAWN_DUP2, given, 0)]
        actions += [(os.POSIX_SPAWN_DUP2, write_end, fd) for fd in (1, 2)]
        try:
            self.pid = os.posix_spawnp(
                command[0], command, os.environ, file_actions=actions, setsigdef=defaults
            )
        finally:
            os.close(given)
            os.close(write_end)
        self.exit_code: int | None = None
        self.deadline: float | None = None
        self._escalation: list[tuple[int, float]] = []

    def is_over(self) -> bool:
        """Return whether the process and its output have ended.

        A process that still holds the output is waited for until `deadline` only.
        """
        if self.exit_code is None:
            return False
        return self.output < 0 or time.monotonic() >= (self.deadline or 0.0)

    def read(self) -> str:
        """Return what the process has written since the last call."""
        data = os.read(self.output, 65536)
        if not data:
            os.close(self.output)
            self.output = -1
        return data.decode(errors="replace")

    def reap(self) -> bool:
        """Return whether the process has ended since the last call."""
        if self.exit_code is not None:
            return False
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        if pid:
            self.exit_code = os.waitstatus_to_exitcode(status)
        return bool(pid)

    def cancel(self, escalation: tuple[tuple[int, float], ...]) -> None:
        """Interrupt the process, and then send each signal of `escalation` after its seconds."""
        self._escalation = list(escalation)
        self._kill(SIGINT)

    def escalate_if_due(self) -> None:
        """Send the next signal of the escalation if its time has come."""
        if self.exit_code is None and self.deadline and time.monotonic() >= self.deadline:
            self._kill(self._escalation.pop(0)[0])

    def _kill(self, signum: int) -> None:
        if self.exit_code is None:
            os.kill(self.pid, signum)
            seconds = self._escalation[0][1] if self._escalation else None
            self.deadline = None if seconds is None else time.monotonic() + seconds
