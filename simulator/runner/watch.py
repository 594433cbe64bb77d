"""A job while it runs: its worker, what the listener tells it, and how it ends."""

import os
import time
from select import POLLIN, poll

from . import codec
from .session import Ended, Gone, Session
from .stop import PYTHON_IGNORES, SIGCHLD, SIGTERM, Signals

TYPE_CHECKING = False  # importing `typing` costs 8 ms
if TYPE_CHECKING:
    from typing import Any

RENEW_SECONDS = 60
UNLOAD_SECONDS = 30


class Worker:
    """The worker's process and the pipe that leads to it."""

    def __init__(self, root: str, message: "dict[str, Any]") -> None:
        to_worker, self._channel = os.pipe()
        from_worker, back = os.pipe()
        for fd in (to_worker, back):
            os.set_inheritable(fd, True)
        path = root + "/bin/Runner.Worker"
        null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
        defaults = [signum for signum in PYTHON_IGNORES if signum not in message["ignored"]]
        self.pid = os.posix_spawn(
            path,
            [path, "spawnclient", str(to_worker), str(back)],
            os.environ,
            file_actions=[(os.POSIX_SPAWN_DUP2, null, 0), (os.POSIX_SPAWN_DUP2, null, 1)],
            setsigdef=defaults,
        )
        for fd in (to_worker, back, null):
            os.close(fd)
        self._back = from_worker
        self._send(message)

    def cancel(self, shutdown: bool) -> None:
        """Ask the worker to cancel its job."""
        self._send({"type": "shutdown" if shutdown else "cancel"})

    def _send(self, message: "dict[str, Any]") -> None:
        data = codec.dumps(message).encode()
        try:
            os.write(self._channel, len(data).to_bytes(4, "big") + data)
        except OSError:
            return  # a worker that has gone is noticed by its exit


class Watch:
    """Waits for the worker, and passes on what asks it to stop."""

    def __init__(
        self, signals: Signals, session: Session, worker: Worker, job: "dict[str, Any]"
    ) -> None:
        self._signals = signals
        self._session = session
        self._worker = worker
        self._job = job
        self._canceled = False
        self._polling = False
        self._deaf = False
        self._give_up = 0.0

    def wait(self) -> int:
        """The worker's exit code; negative if a signal ended it."""
        renewal = time.monotonic() + RENEW_SECONDS
        while True:
            code = self._reap()
            if code is not None:
                return code
            self._pass_on_stop()
            self._poll(self._ask(), min(renewal, self._give_up or renewal))
            now = time.monotonic()
            if self._give_up and now >= self._give_up:
                os._exit(128 + SIGTERM)
            if now >= renewal:
                self._session.renew(self._job)
                renewal = now + RENEW_SECONDS

    def _reap(self) -> int | None:
        # Only SIGCHLD tells of the end, as in .NET: with it blocked the worker ends unseen.
        if SIGCHLD not in self._signals.drain():
            return None
        pid, status = os.waitpid(self._worker.pid, os.WNOHANG)
        return os.waitstatus_to_exitcode(status) if pid else None

    def _pass_on_stop(self) -> None:
        if self._signals.stopped_by and not self._canceled:
            self._canceled = True
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
        ready = poller.poll(max(0.0, until - time.monotonic()) * 1000)
        if any(fd == connection for fd, _ in ready):
            self._read_message()

    def _read_message(self) -> None:
        self._polling = False
        try:
            message = self._session.message()
        except (OSError, Gone, Ended):
            self._deaf = True
            return
        if message is not None and message["message_type"] == "JobCancellation":
            self._worker.cancel(shutdown=False)


def ignored_by_parent() -> list[int]:
    """Which signals the parent has ignored: Python hides what it was itself started with."""
    try:
        with open(f"/proc/{os.getppid()}/status", encoding="utf-8") as file:
            text = file.read()
    except OSError:
        return []
    mask = int(text.partition("SigIgn:")[2].split()[0], 16)
    return [signum for signum in range(1, 65) if mask >> (signum - 1) & 1]
