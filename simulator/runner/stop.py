"""How the listener and the worker hear of signals."""

import os

from .program import on_signal, write

TYPE_CHECKING = False  # importing `typing` costs 8 ms
if TYPE_CHECKING:
    import signal as _signal
    from types import FrameType
else:
    import _signal

SIGCHLD = int(_signal.SIGCHLD)
SIGINT = int(_signal.SIGINT)
SIGTERM = int(_signal.SIGTERM)
# Python ignores these two from its start on; a job expects the default.
PYTHON_IGNORES = (int(_signal.SIGPIPE), int(_signal.SIGXFSZ))


class Stopped(BaseException):
    """A signal asks the listener to leave."""


class Signals:
    """Notes SIGINT and SIGTERM; while `raising`, they also end whatever is going on.

    `fd` becomes readable at each signal, SIGCHLD included. A blocked signal is never heard of:
    the mask stays what the parent made it.
    """

    def __init__(self, catch: tuple[int, ...], raising: bool) -> None:
        self.raising = raising
        self.stopped_by = 0
        self.fd, write_end = os.pipe()
        os.set_blocking(self.fd, False)
        os.set_blocking(write_end, False)
        _signal.set_wakeup_fd(write_end, warn_on_full_buffer=False)
        for signum in catch:
            on_signal(signum, self._note)
        on_signal(SIGCHLD, lambda _signum, _frame: None)

    def hold(self) -> None:
        """From now on note signals only; one that came before raises Stopped here."""
        self.raising = False
        if self.stopped_by:
            raise Stopped

    def release(self) -> None:
        """The opposite: one that came meanwhile raises Stopped here."""
        self.raising = True
        if self.stopped_by:
            raise Stopped

    def drain(self) -> bytes:
        """The numbers of the signals since the last call."""
        try:
            return os.read(self.fd, 4096)
        except BlockingIOError:
            return b""

    def _note(self, signum: int, _frame: "FrameType | None") -> None:
        if signum == SIGINT:
            write(1, "Exiting...")
        first = not self.stopped_by
        self.stopped_by = self.stopped_by or signum
        if first and self.raising:
            raise Stopped
