"""The signals of the listener and of the worker."""

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
# Python ignores these two from its start on. A job expects their defaults.
PYTHON_IGNORES = (int(_signal.SIGPIPE), int(_signal.SIGXFSZ))


class Stopped(BaseException):
    """A signal tells the listener to leave."""


class Signals:
    """Notes SIGINT and SIGTERM; while `raising`, each of them raises Stopped.

    `fd` becomes readable at each signal, also at SIGCHLD. The signal mask stays as the parent made
    it, so that a blocked signal never arrives.
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
        """Only note signals from now on; Stopped if one has come before."""
        self.raising = False
        if self.stopped_by:
            raise Stopped

    def release(self) -> None:
        """Raise Stopped at signals from now on, and at once if one has come meanwhile."""
        self.raising = True
        if self.stopped_by:
            raise Stopped

    def drain(self) -> bytes:
        """Return the numbers of the signals since the last call."""
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
