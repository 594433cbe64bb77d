"""PID 1's own work: spawn, wait, reap, sweep. Standard library only; knows nothing of runners.

The model is that of tini and catatonit: every signal is blocked, and one loop takes signals with
sigtimedwait(2) when it is ready for them. There are no handlers, so nothing is interrupted half
way; there are no threads, so forking is safe; there are no timers, so an idle PID 1 never wakes.
Whatever may block (HTTP, a program) is a child process, so a stop is noticed at once.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import NoReturn

ALL_SIGNALS = signal.valid_signals()
STOPS = (signal.SIGINT, signal.SIGTERM)
_UNCHANGEABLE = {signal.SIGKILL, signal.SIGSTOP}
_PR_SET_DUMPABLE, _PR_SET_CHILD_SUBREAPER = 4, 36  # linux/prctl.h
_libc = ctypes.CDLL(None, use_errno=True)


class Stopped(Exception):  # noqa: N818 - an event, not an error
    """SIGINT or SIGTERM has arrived; raised at most once in the life of an `Init`."""

    def __init__(self, signum: int) -> None:
        """Keep the signal's number."""
        super().__init__(signal.Signals(signum).name)
        self.signum = signum


class Child:
    """A process that was started here; `outcome` is its exit code once it has been reaped."""

    def __init__(self, pid: int, output: int | None = None, answer: int | None = None) -> None:
        """Take the pid, and the descriptors of the memory files that it writes into, if any."""
        self.pid = pid
        self.outcome: int | None = None
        self._output = output
        self._answer = answer

    def output(self) -> str:
        """Return what it has written to stdout and stderr so far, if that was captured."""
        return _contents(self._output).decode(errors="replace")

    def answer(self) -> bytes:
        """Return what the function of a forked child returned; empty before it did."""
        return _contents(self._answer)

    def close(self) -> None:
        """Free the memory files."""
        for descriptor in {self._output, self._answer} - {None}:
            os.close(descriptor)  # type: ignore[arg-type]
        self._output = self._answer = None


def _contents(descriptor: int | None) -> bytes:
    if descriptor is None:
        return b""
    return os.pread(descriptor, os.fstat(descriptor).st_size, 0)


def exit_code(status: int) -> int:
    """Turn a wait status into an exit code: death by signal N is 128+N, as in a shell."""
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def block_signals() -> None:
    """Block every signal: what comes stays pending until `Init` asks for it."""
    signal.pthread_sigmask(signal.SIG_SETMASK, ALL_SIGNALS)
    # An inherited "ignore" would make the kernel reap our children itself.
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)


def forbid_dumps() -> None:
    """Make this process non-dumpable: no core, and its /proc files are closed to its own user.

    Set again after every exec, which resets it (PR_SET_DUMPABLE in prctl(2)).
    """
    _libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


class Init:
    """The children of this process and the signals that come to it."""

    def __init__(self) -> None:
        """Block all signals; where we are not PID 1, become the reaper of our descendants."""
        block_signals()
        self.is_pid_1 = os.getpid() == 1
        if not self.is_pid_1:
            _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        self.stops: list[int] = []
        self._interruptible = True
        self._children: dict[int, Child] = {}

    def spawn(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str],
        cwd: str = "/",
        capture: bool = False,
    ) -> Child:
        """Start a program in a session of its own, stdin empty, no signal blocked or ignored.

        `env` is its whole environment. It inherits stdout and stderr, or with `capture` writes
        both into `Child.output()`. Raises OSError if it cannot be started.
        """
        output = os.memfd_create("output") if capture else None
        actions: list[tuple[int, ...] | tuple[int, int, str, int, int]]
        actions = [(os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0)]
        if output is not None:
            actions += [(os.POSIX_SPAWN_DUP2, output, 1), (os.POSIX_SPAWN_DUP2, output, 2)]
        os.chdir(cwd)  # posix_spawn has no chdir; there is no thread that could notice
        try:
            pid = os.posix_spawnp(
                argv[0],
                argv,
                dict(env),
                file_actions=actions,
                setsid=True,
                setsigmask=(),
                setsigdef=ALL_SIGNALS - _UNCHANGEABLE,
            )
        finally:
            os.chdir("/")
        return self._adopt(Child(pid, output=output))

    def fork(self, function: Callable[[], bytes], *, capture: bool = False) -> Child:
        """Run a function in a process of its own; what it returns becomes `Child.answer()`.

        An exception is a traceback on stderr and exit code 70. The function may also `become`
        another program, which then has the function's pid.
        """
        answer = os.memfd_create("answer")
        output = os.memfd_create("output") if capture else None
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if pid == 0:
            _run_forked(function, answer, output)
        return self._adopt(Child(pid, output=output, answer=answer))

    def _adopt(self, child: Child) -> Child:
        self._children[child.pid] = child
        return child

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

        It is looked at after each signal; `poll` (seconds) is for what comes without one.
        """
        while not condition():
            if hurry and len(self.stops) > 1:
                return False
            remaining = None if deadline is None else max(0.0, deadline - time.monotonic())
            pause = min((s for s in (remaining, poll) if s is not None), default=None)
            if not self._take_signal(pause) and remaining is not None and remaining <= 0:
                return condition()
        return True

    def _take_signal(self, timeout: float | None) -> bool:
        """Sleep until a signal comes and act on it; False when the time (seconds) was up."""
        if timeout is None:
            info: signal.struct_siginfo | None = signal.sigwaitinfo(ALL_SIGNALS)
        else:
            info = signal.sigtimedwait(ALL_SIGNALS, timeout)
        if info is None:
            return False
        if info.si_signo == signal.SIGCHLD:
            self.reap()
        else:
            self.handle(info)
        return True

    def handle(self, info: signal.struct_siginfo) -> None:
        """Act on a signal other than SIGCHLD: a stop is kept and told once, the rest is dropped."""
        if info.si_signo not in STOPS:
            return
        self.stops.append(info.si_signo)
        if len(self.stops) == 1 and self._interruptible:
            raise Stopped(info.si_signo)

    def begin_cleanup(self) -> None:
        """From now on no stop is raised, so that what has been acquired is released."""
        self._interruptible = False

    def reap(self) -> None:
        """Collect every child that has ended, ours or an orphan; pending signals merge."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid in self._children:
                self._children.pop(pid).outcome = exit_code(status)

    def signal_group(self, child: Child, signum: int) -> None:
        """Send a signal to the process group that a child leads, if it is still there."""
        if child.outcome is None:
            _kill(-child.pid, signum)

    def end(self, child: Child) -> None:
        """Kill a child with its whole group and wait for its end."""
        self.signal_group(child, signal.SIGKILL)
        self.wait(child, time.monotonic() + 2)

    def alone(self) -> bool:
        """Return whether no child is left, neither ours nor an orphan."""
        self.reap()
        try:
            os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return True
        return False

    def is_ours(self, pid: int) -> bool:
        """Return whether that process was started here and has not been reaped."""
        return pid in self._children

    def freeze(self) -> None:
        """As PID 1 stop every other process, in one step that no fork can outrun (kill(2))."""
        if self.is_pid_1:
            _kill(-1, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let go on whoever was frozen and is still alive."""
        if self.is_pid_1:
            _kill(-1, signal.SIGCONT)

    def sweep(self, grace: float) -> None:
        """End every process that is left: TERM, `grace` seconds, then KILL."""
        if self.alone():
            return
        self._signal_rest(signal.SIGTERM)
        if not self.wait_for(self.alone, time.monotonic() + grace, hurry=True):
            self.wait_for(self._killed_rest, time.monotonic() + 2)

    def _killed_rest(self) -> bool:
        """Kill what is left; a killed child's own children become ours and are next."""
        self._signal_rest(signal.SIGKILL)
        return self.alone()

    def _signal_rest(self, signum: int) -> None:
        """As PID 1 reach the whole namespace, in one step; otherwise nobody but our children."""
        if self.is_pid_1:
            _kill(-1, signum)
            return
        with open(f"/proc/self/task/{os.getpid()}/children", encoding="ascii") as children:
            for pid in children.read().split():
                _kill(int(pid), signum)


def _kill(pid: int, signum: int) -> None:
    """kill(2), where it does not matter that nobody is left."""
    try:
        os.kill(pid, signum)
    except ProcessLookupError:
        pass


def interrupt(pid: int) -> None:
    """Send SIGINT to one process."""
    _kill(pid, signal.SIGINT)


def kill(pid: int) -> None:
    """Send SIGKILL to one process."""
    _kill(pid, signal.SIGKILL)


def _run_forked(function: Callable[[], bytes], answer: int, output: int | None) -> NoReturn:
    """The life of a forked child: never returns into the code of its parent."""
    code = 70
    try:
        os.setsid()
        if output is not None:
            os.dup2(output, 1)
            os.dup2(output, 2)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        os.write(answer, function())
        code = 0
    except BaseException:  # noqa: BLE001 - nothing may get past: below is the parent's code
        traceback.print_exc()
    finally:
        os._exit(code)


def become(argv: Sequence[str], *, env: Mapping[str, str], cwd: str) -> NoReturn:
    """Turn a forked child into a program, with stdin empty and signals as `spawn` sets them."""
    for signum in ALL_SIGNALS - _UNCHANGEABLE:
        signal.signal(signum, signal.SIG_DFL)
    empty = os.open("/dev/null", os.O_RDONLY)
    os.dup2(empty, 0)
    os.chdir(cwd)
    os.execvpe(argv[0], list(argv), dict(env))
