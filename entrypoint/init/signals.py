"""Signals: their names, what this process does about them, and how it sends them.

This package imports the standard library only.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    from collections.abc import Set
else:
    # The C functions behind `signal`, without its enums, which take 3 ms of each start of PID 1.
    import _signal as signal

ALL_SIGNALS = signal.valid_signals()
CHANGEABLE = ALL_SIGNALS - {signal.SIGKILL, signal.SIGSTOP}
_IGNORED_BY_PYTHON = {signal.SIGPIPE, signal.SIGXFSZ}

# Signal numbers by name (SIGHUP, SIGINT, …); the numbers depend on the CPU's architecture.
SIGNALS: dict[str, int] = {
    name: int(getattr(signal, name))
    for name in dir(signal)
    if name.startswith("SIG") and name.isalnum()
}


def signal_name(signum: int) -> str:
    """Return a name like SIGTERM; real-time signals have only a number."""
    return next((name for name, number in SIGNALS.items() if number == signum), f"signal {signum}")


def block_signals() -> None:
    """Block every signal: a signal that comes stays pending until `Init` takes it."""
    signal.pthread_sigmask(signal.SIG_SETMASK, ALL_SIGNALS)
    # If SIGCHLD were ignored, as a parent may have left it, the kernel would reap our children
    # itself, and their exit codes would be lost (wait(2)).
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)


def default_signals() -> None:
    """Give every signal its default action and block none, as a program expects at its start."""
    _set_default(CHANGEABLE)


def restore_signals() -> None:
    """Unblock all signals, and give them their default action, for a child that stays in Python.

    SIGPIPE and SIGXFSZ stay ignored, as in any Python: a broken pipe remains an OSError.
    """
    _set_default(CHANGEABLE - _IGNORED_BY_PYTHON)


def ignore_broken_pipe() -> None:
    """Ignore SIGPIPE until `default_signals`: a write to a broken pipe only returns an error."""
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)


def raise_at_terminate(error: type[Exception]) -> None:
    """In a forked child, let the first SIGTERM raise an error, and ignore the following ones."""

    def raise_once(_signum: int, _frame: object) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise error

    signal.signal(signal.SIGTERM, raise_once)


def _set_default(signals: Set[int]) -> None:
    for signum in signals:
        signal.signal(signum, signal.SIG_DFL)
    # Unblock last: a pending SIGINT would meet Python's own handler and end in a traceback.
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def kill(pid: int, signum: int = signal.SIGKILL) -> bool:
    """Send a signal; return whether there is such a process or group."""
    try:
        os.kill(pid, signum)
    except (ProcessLookupError, PermissionError) as error:
        # EPERM: it exists, but belongs to another user, as a process under sudo does.
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
