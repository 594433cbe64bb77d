"""Signals: their names, what this process does about them, and how it sends them.

Standard library only, as child.py and init.py, which together are the room where PID 1 works.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    from collections.abc import Set
else:
    # The functions of signal without its enums, which cost 3 ms of each start of PID 1.
    import _signal as signal

ALL_SIGNALS = signal.valid_signals()
CHANGEABLE = ALL_SIGNALS - {signal.SIGKILL, signal.SIGSTOP}
_IGNORED_BY_PYTHON = {signal.SIGPIPE, signal.SIGXFSZ}

# Numbers by name, as this architecture has them: SIGHUP, SIGINT, …
SIGNALS: dict[str, int] = {
    name: int(getattr(signal, name))
    for name in dir(signal)
    if name.startswith("SIG") and name.isalnum()
}


def signal_name(signum: int) -> str:
    """Return a name like SIGTERM; real-time signals have only a number."""
    return next((name for name, number in SIGNALS.items() if number == signum), f"signal {signum}")


def block_signals() -> None:
    """Block every signal: what comes stays pending until `Init` asks for it."""
    signal.pthread_sigmask(signal.SIG_SETMASK, ALL_SIGNALS)
    # An inherited "ignore" would make the kernel reap our children itself.
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)


def default_signals() -> None:
    """Set every signal to its default and block none, as a program expects it."""
    _set_default(CHANGEABLE)


def restore_signals() -> None:
    """Set and unblock all but those that Python ignores: a broken pipe stays an OSError."""
    _set_default(CHANGEABLE - _IGNORED_BY_PYTHON)


def ignore_broken_pipe() -> None:
    """Have a write that nobody reads fail with an error only, until `default_signals`."""
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)


def raise_at_terminate(error: type[Exception]) -> None:
    """In a forked child: let the first SIGTERM raise an error, and ignore those that follow."""

    def raise_once(_signum: int, _frame: object) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise error

    signal.signal(signal.SIGTERM, raise_once)


def _set_default(signals: Set[int]) -> None:
    for signum in signals:
        signal.signal(signum, signal.SIG_DFL)
    # Not before: Python's own handler would turn a SIGINT that is pending into a traceback.
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def kill(pid: int, signum: int = signal.SIGKILL) -> bool:
    """Send a signal, and return whether somebody is there; he may be not ours to signal (sudo)."""
    try:
        os.kill(pid, signum)
    except (ProcessLookupError, PermissionError) as error:
        return isinstance(error, PermissionError)
    return True


def interrupt(pid: int) -> None:
    """Send SIGINT to one process."""
    kill(pid, signal.SIGINT)


def resume(pid: int) -> None:
    """Send SIGCONT to one process."""
    kill(pid, signal.SIGCONT)


def terminate(pid: int) -> None:
    """Send SIGTERM to one process."""
    kill(pid, signal.SIGTERM)
