"""A job that runs: its worker, the messages to it, its end."""

import os
import time
from select import POLLIN, poll

from . import codec, diagnostics
from .session import Ended, Gone, Session
from .stop import PYTHON_IGNORES, SIGCHLD, SIGTERM, Signals

TYPE_CHECKING = False  # importing `typing` costs 8 ms
if TYPE_CHECKING:
    from typing import Any

    from .program import Settings, Terminal

UNLOAD_SECONDS = 30
SIGKILL = 9


NEVER_READS = "never-reads"  # a hang: the worker does not read its job


class Worker:
    """The worker's process, and the pipe to it."""

    def __init__(self, root: str, message: "dict[str, Any]", terminal: "Terminal") -> None:
        to_worker, self._channel = os.pipe()
        self.back, from_worker = os.pipe()
        for fd in (to_worker, from_worker):
            os.set_inheritable(fd, True)
        path = root + "/bin/Runner.Worker"
        null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
        defaults = [signum for signum in PYTHON_IGNORES if signum not in message["ignored"]]
        arguments = ["spawnclient", str(to_worker), str(from_worker)]
        diagnostics.write(terminal, diagnostics.starting(path, arguments))
        self._job_id = message["job"]["id"]
        self._began = time.monotonic()
        self.pid = os.posix_spawn(
            path,
            [path, *arguments],
            os.environ,
            file_actions=[(os.POSIX_SPAWN_DUP2, null, 0), (os.POSIX_SPAWN_DUP2, null, 1)],
            setsigdef=defaults,
        )
        for fd in (to_worker, from_worker, null):
            os.close(fd)
        diagnostics.write(terminal, diagnostics.started(self.pid))
        self._is_deaf = message["job"]["hang"] == NEVER_READS
        self._send(message)

    def tell_end(self, code: int, terminal: "Terminal") -> None:
        """Write into the log that the worker has ended; a negative code is a signal."""
        code = 128 - code if code < 0 else code
        seconds = time.monotonic() - self._began
        diagnostics.write(terminal, diagnostics.finished(self.pid, code, seconds, self._job_id))

    def cancel(self, shutdown: bool) -> None:
        """Tell the worker to cancel its job."""
        self._send({"type": "shutdown" if shutdown else "cancel"})

    def _send(self, message: "dict[str, Any]") -> None:
        if self._is_deaf:  # it never reads, so nothing is sent
            return
        data = codec.dumps(message).encode()
        try:
            os.write(self._channel, len(data).to_bytes(4, "big") + data)
        except OSError:
            return  # the worker has ended, and its exit code tells


class Watch:
    """Waits for the worker, and passes stops and cancellations on to it."""

    def __init__(
        self,
        settings: "Settings",
        signals: Signals,
        session: Session,
        worker: Worker,
        job: "dict[str, Any]",
    ) -> None:
        self._settings = settings
        self._signals = signals
        self._session = session
        self._worker = worker
        self._job = job
        self._stopped = False
        self._canceled = False
        self._has_read = False
        self.never_read = False
        self._polling = False
        self._deaf = False
        self._give_up = 0.0

    def wait(self) -> int:
        """Return the worker's exit code; it is negative if a signal has ended the worker."""
        renewal = time.monotonic() + self._settings.renew
        read_by = time.monotonic() + self._settings.worker_read
        while True:
            code = self._reap()
            if code is not None:
                return code
            self._pass_on_stop()
            due = [renewal, *([self._give_up] if self._give_up else [])]
            self._poll(self._ask(), min([*due, *([] if self._has_read else [read_by])]))
            now = time.monotonic()
            if self._give_up and now >= self._give_up:
                os._exit(128 + SIGTERM)
            if now >= renewal:
                self._session.renew(self._job)
                renewal = now + self._settings.renew
            if now >= read_by and not self._has_read and not self.never_read:
                self.never_read = True
                os.kill(self._worker.pid, SIGKILL)

    def _reap(self) -> int | None:
        # As in .NET only SIGCHLD tells of the end. With SIGCHLD blocked the worker never ends.
        if SIGCHLD not in self._signals.drain():
            return None
        pid, status = os.waitpid(self._worker.pid, os.WNOHANG)
        return os.waitstatus_to_exitcode(status) if pid else None

    def _pass_on_stop(self) -> None:
        if self._signals.stopped_by and not self._stopped:
            self._stopped = True
            self._worker.cancel(shutdown=True)
            if self._signals.stopped_by == SIGTERM:
                self._give_up = time.monotonic() + UNLOAD_SECONDS

    def _ask(self) -> int:
        if not (self._polling or self._deaf):
            try:
                self._session.ask("Busy")
                self._polling = True
            except OSError:
                self._deaf = True
        return self._session.connection.fileno() if self._polling else -1

    def _poll(self, connection: int, until: float) -> None:
        poller = poll()
        poller.register(self._signals.fd, POLLIN)
        if connection >= 0:
            poller.register(connection, POLLIN)
        if not self._has_read:
            poller.register(self._worker.back, POLLIN)
        ready = {fd for fd, _ in poller.poll(max(0.0, until - time.monotonic()) * 1000)}
        self._has_read = self._has_read or self._worker.back in ready
        if connection in ready:
            self._read_message()

    def _read_message(self) -> None:
        self._polling = False
        try:
            message = self._session.message()
        except (OSError, Gone, Ended):
            self._deaf = True
            return
        if message is not None and message["message_type"] == "JobCancellation":
            self._session.tell_cancellation(message)
            if not self._canceled:
                self._canceled = True
                self._worker.cancel(shutdown=False)


def ignored_by_parent() -> list[int]:
    """Return the signals that the parent ignores.

    This process cannot look at its own: Python has changed them at its start.
    """
    try:
        with open(f"/proc/{os.getppid()}/status", encoding="utf-8") as file:
            text = file.read()
    except OSError:
        return []
    mask = int(text.partition("SigIgn:")[2].split()[0], 16)
    return [signum for signum in range(1, 65) if mask >> (signum - 1) & 1]
