"""PID 1's own work: spawn, wait, reap, sweep. Standard library only; knows nothing of runners.

The model is that of tini and catatonit: every signal is blocked, and one loop takes signals with
sigtimedwait(2) when it is ready for them. There are no handlers, so no code is interrupted half
way. There are no threads, so forking is safe. There are no timers, so an idle PID 1 never wakes.
Work that may block (HTTP, a program) is done by a child process, so PID 1 notices a stop at once.
"""

from __future__ import annotations

import os
import time

from entrypoint.init.child import Child, Parent
from entrypoint.init.processes import below, descendants, visible
from entrypoint.init.signals import (
    ALL_SIGNALS,
    block_signals,
    kill,
    signal_name,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    from collections.abc import Callable
else:
    import _signal as signal  # as in signals.py

STOPS = (signal.SIGINT, signal.SIGTERM)
_STOP_TIMEOUT = 0.2  # seconds that a child has to suspend before this process suspends
_NEVER = float("inf")
_SI_USER = 0  # siginfo.h: sent by kill(2), or by the kernel on behalf of `si_pid`
_PR_SET_DUMPABLE, _PR_SET_CHILD_SUBREAPER = 4, 36  # linux/prctl.h


class Stopped(Exception):
    """SIGINT or SIGTERM has arrived; raised at most once in the life of an `Init`."""

    def __init__(self, signum: int) -> None:
        """Keep the signal's number."""
        super().__init__(signal_name(signum))
        self.signum = signum


def exit_code(status: int) -> int:
    """Turn a wait status into an exit code: death by signal N is 128+N, as in a shell."""
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def forbid_dumps() -> None:
    """Make this process non-dumpable: no core, and its /proc files are closed to its own user.

    Every program that is executed must call this again, because exec resets the flag
    (PR_SET_DUMPABLE in prctl(2)).
    """
    _prctl(_PR_SET_DUMPABLE, 0)


class Stop:
    """The stop of this process: which signals asked for it, and when it must be over.

    `signals` are the stop signals that have come so far. `deadline` is the moment of
    time.monotonic() when all must be over; it is infinite until `begin`.
    """

    def __init__(self) -> None:
        """Begin without a stop signal."""
        self.signals: list[int] = []
        self.deadline = _NEVER

    @property
    def begun(self) -> bool:
        """Whether the time of the stop has begun to run."""
        return self.deadline < _NEVER

    @property
    def hurried(self) -> bool:
        """Whether a second stop signal has come: the sender wants the stop to be over sooner."""
        return len(self.signals) > 1

    def begin(self, seconds: float) -> None:
        """Let the time of the stop begin, unless it has begun already."""
        if not self.begun:
            self.allow(seconds)

    def allow(self, seconds: float) -> None:
        """Let the stop take that many seconds from now on."""
        self.deadline = time.monotonic() + seconds

    def left(self) -> float:
        """Return the seconds until the deadline; negative once it has passed."""
        return self.deadline - time.monotonic()


class Init(Parent):
    """The children of this process and the signals that come to it.

    `on_wake` holds functions that every wait calls before it tests its condition: once at its
    beginning, and then after each signal. `on_stop` is called with each stop signal, and `on_other`
    with each signal that is dropped.
    """

    def __init__(self) -> None:
        """Block all signals; a process that is not PID 1 becomes its descendants' reaper."""
        super().__init__()
        block_signals()
        self.is_pid_1 = os.getpid() == 1
        if not self.is_pid_1:
            _prctl(_PR_SET_CHILD_SUBREAPER, 1)
        self.stop = Stop()
        self.on_wake: list[Callable[[], None]] = []
        self.on_stop: Callable[[int], None] | None = None
        self.on_other: Callable[[int], None] | None = None
        self._interruptible = True

    def wait(
        self, child: Child, deadline: float | None = None, *, hurry: bool = False
    ) -> int | None:
        """Wait for the end of a child and return its exit code, or None at the deadline.

        `deadline` is a moment of time.monotonic(). With `hurry`, a second stop counts as the
        deadline. Raises Stopped at the first stop.
        """
        self.wait_for(lambda: child.outcome is not None, deadline, hurry=hurry)
        return child.outcome

    def wait_for(
        self,
        condition: Callable[[], bool],
        deadline: float | None = None,
        *,
        hurry: bool = False,
        poll: float | None = None,
    ) -> bool:
        """Sleep until a condition holds, and return whether it does; see `wait`.

        The condition is tested after each signal. If it can change without a signal, `poll` is the
        number of seconds between two tests.
        """
        while not self._holds(condition):
            if hurry and self.stop.hurried:
                return False
            remaining = None if deadline is None else max(0.0, deadline - time.monotonic())
            self._take_signal(min((s for s in (remaining, poll) if s is not None), default=None))
            if remaining == 0:  # also while signals keep coming: they must not extend the deadline
                return self._holds(condition)
        return True

    def _holds(self, condition: Callable[[], bool]) -> bool:
        for look in tuple(self.on_wake):
            look()
        return condition()

    def _take_signal(self, timeout: float | None) -> None:
        """Sleep until a signal comes, for at most `timeout` seconds, and act on it."""
        if timeout is None:
            info: signal.struct_siginfo | None = signal.sigwaitinfo(ALL_SIGNALS)
        else:
            info = signal.sigtimedwait(ALL_SIGNALS, timeout)
        if info is None:
            return
        if info.si_signo != signal.SIGCHLD and not _is_own(info):
            self.handle(info.si_signo)
        # Reap after every signal: lower-numbered signals are delivered first, and a flood of them
        # would starve SIGCHLD.
        self.reap()

    def handle(self, signum: int) -> None:
        """Act on a signal other than SIGCHLD.

        Every stop is kept in `stop.signals`. The first one raises Stopped, unless `begin_cleanup`
        has been called. All other signals are dropped.
        """
        if signum not in STOPS:
            if self.on_other is not None:
                self.on_other(signum)
            return
        self.stop.signals.append(signum)
        if self.on_stop is not None:
            self.on_stop(signum)
        if not self.stop.hurried and self._interruptible:
            raise Stopped(signum)

    def begin_cleanup(self) -> None:
        """Let no stop raise Stopped from now on, so that the clean-up is not interrupted."""
        self._interruptible = False

    def reap(self) -> None:
        """Collect every child that has ended: those started here, and orphans."""
        while True:  # one SIGCHLD may stand for several ended children
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid in self._children:
                child = self._children.pop(pid)
                child.outcome, child.usage = exit_code(status), usage

    def signal_group(self, child: Child, signum: int) -> None:
        """Send a signal to the process group of a child that has not been reaped."""
        # Until a forked child has called setsid, it leads no group: signal the child alone.
        if child.outcome is None and not kill(-child.pid, signum):
            kill(child.pid, signum)

    def end(self, child: Child) -> None:
        """Kill a child with its whole group and wait for its end."""
        self.signal_group(child, signal.SIGKILL)
        self.wait(child, time.monotonic() + 2)

    def suspend(self, child: Child | None = None) -> None:
        """Suspend this process until SIGCONT; does nothing in PID 1.

        `child` has been told to suspend too. This process waits a moment for it. Otherwise the
        child could read what the user types for the shell, which is back once we are suspended.
        """
        if self.is_pid_1:  # the kernel drops a SIGSTOP that comes from PID 1's own namespace
            return
        deadline = time.monotonic() + _STOP_TIMEOUT
        while child and _is_running(child) and (left := deadline - time.monotonic()) > 0:
            signal.sigtimedwait({signal.SIGCHLD}, left)
        # SIGSTOP discards a pending SIGCONT (signal(7)), and then nothing would wake us.
        if signal.SIGCONT not in signal.sigpending():
            os.kill(os.getpid(), signal.SIGSTOP)

    def alone(self) -> bool:
        """Return whether all children have ended: those started here, and orphans."""
        self.reap()
        try:
            os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return True
        return False

    def freeze(self) -> None:
        """As PID 1, suspend every other process of the namespace."""
        if self.is_pid_1:  # kill(-1) reaches all in one step, so no process can fork meanwhile
            kill(-1, signal.SIGSTOP)

    def thaw(self) -> None:
        """As PID 1, let the processes that `freeze` has suspended continue."""
        if self.is_pid_1:
            kill(-1, signal.SIGCONT)

    def sweep(self, grace: float) -> None:
        """End every process that is left: TERM, `grace` seconds, then KILL."""
        if self.alone():
            return
        self._signal_rest(signal.SIGTERM)
        self._wake_rest()
        if not self.wait_for(self.alone, time.monotonic() + grace, hurry=True):
            self.wait_for(self._killed_rest, time.monotonic() + 2)

    def _killed_rest(self) -> bool:
        """Kill the processes that are left, also new ones; return whether all are gone."""
        self._signal_rest(signal.SIGKILL)
        return self.alone()

    def _wake_rest(self) -> None:
        """Send SIGCONT to suspended processes only, so that they can act on SIGTERM."""
        alive = visible()
        if not alive:  # /proc does not show which processes are suspended
            self._signal_rest(signal.SIGCONT)
            return
        ours = below({os.getpid()}, alive)
        for process in alive:
            # PID 1 ends every process of its namespace, also those that `docker exec` has started.
            if process.state == "T" and (self.is_pid_1 or process.pid in ours):
                kill(process.pid, signal.SIGCONT)

    def _signal_rest(self, signum: int) -> None:
        """Signal the whole namespace in one step as PID 1, and our descendants otherwise."""
        for pid in [-1] if self.is_pid_1 else descendants():
            kill(pid, signum)


def _is_running(child: Child) -> bool:
    """Whether a child is running, not suspended and not ended; it is not reaped by this."""
    options = os.WSTOPPED | os.WEXITED | os.WNOHANG | os.WNOWAIT
    return child.outcome is None and os.waitid(os.P_PID, child.pid, options) is None


def _is_own(info: signal.struct_siginfo) -> bool:
    """Whether this process caused the signal by writing to a broken pipe or leaving a terminal."""
    return info.si_code == _SI_USER and info.si_pid == os.getpid()


def _prctl(option: int, value: int) -> None:
    import ctypes  # takes 4 ms, and `gh-runner exec` as PID 1 never comes here

    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), f"prctl({option}, {value})")
