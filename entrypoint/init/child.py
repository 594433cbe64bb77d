"""Child processes: how they are started, and what their parent keeps of them.

Standard library only. The delicate part is between fork and exec. The child still has our blocked
signals and Python's handlers there, and it is in our session until it calls setsid(2).
"""

from __future__ import annotations

import gc
import os
import sys

from entrypoint.init.signals import CHANGEABLE, default_signals, restore_signals

TYPE_CHECKING = False
if TYPE_CHECKING:
    import resource
    from collections.abc import Callable, Mapping, Sequence
    from typing import NoReturn

_DEFECT = 70  # EX_SOFTWARE
_MOST_DESCRIPTORS = 256  # PID 1 has some twenty


class Child:
    """A process that this one has started; `outcome` is its exit code once it has been reaped."""

    def __init__(self, pid: int, output: int | None = None, answer: int | None = None) -> None:
        """Take the pid, and the descriptors of the memory files that the child writes into."""
        self.pid = pid
        self.outcome: int | None = None
        self.usage: resource.struct_rusage | None = None  # once it has been reaped (getrusage(2))
        self._output = output
        self._answer = answer

    def output(self) -> str:
        """Return what the child has written to stdout and stderr so far; empty if not captured."""
        return _contents(self._output).decode(errors="replace")

    def answer(self) -> bytes:
        """Return what the function of a forked child has returned; empty until it has."""
        return _contents(self._answer)

    def close(self) -> None:
        """Free the memory files."""
        _close(self._output, self._answer)
        self._output = self._answer = None


class Parent:
    """Starts children and remembers those that have not been reaped."""

    def __init__(self) -> None:
        """Begin without any child."""
        self._children: dict[int, Child] = {}

    def is_ours(self, pid: int) -> bool:
        """Return whether this process has started that one and has not reaped it yet."""
        return pid in self._children

    def spawn(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str],
        cwd: str = "/",
        capture: bool = False,
        output: int | None = None,
        stdin: int | None = None,
    ) -> Child:
        """Start a program in a session of its own, with no signal blocked or ignored.

        `env` is the program's whole environment. The program is looked up on our own PATH. Its
        stdin is empty unless `stdin` gives a descriptor. It inherits stdout and stderr, or writes
        both into the descriptor `output`, or with `capture` into `Child.output()`. Our own
        working directory is / afterwards. Raises OSError if the program cannot be started.
        """
        captured = memory_file("output") if capture else None
        output = captured if capture else output
        actions: list[tuple[int, ...] | tuple[int, int, str, int, int]]
        actions = [(os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0)]
        if stdin is not None:
            actions = [(os.POSIX_SPAWN_DUP2, stdin, 0)]
        if output is not None:
            actions += [(os.POSIX_SPAWN_DUP2, output, 1), (os.POSIX_SPAWN_DUP2, output, 2)]
        try:
            os.chdir(cwd)  # posix_spawn has no chdir; this process has one thread, so it is safe
            pid = os.posix_spawnp(
                argv[0],
                list(argv),
                dict(env),
                file_actions=actions,
                setsid=True,
                setsigmask=(),
                setsigdef=CHANGEABLE,
            )
        except OSError as error:
            error.add_note("posix_spawn(3)")
            _close(captured)
            raise
        finally:
            os.chdir("/")
        return self._adopt(Child(pid, output=captured))

    def fork(
        self, function: Callable[[], bytes], *, capture: bool = False, session: bool = True
    ) -> Child:
        """Run a function in a process of its own; what it returns becomes `Child.answer()`.

        In the child, every signal has its default action, but SIGPIPE and SIGXFSZ are ignored. An
        exception becomes a traceback on stderr and exit code 70. The function may also `become`
        another program, which keeps the child's pid. Without `session` the child stays in our
        process group. Raises OSError if the kernel refuses a new process or a memory file.
        """
        _flush()
        answer = memory_file("answer")
        output = memory_file("output") if capture else None
        try:
            pid = os.fork()
        except OSError as error:
            error.add_note("fork(2)")
            _close(answer, output)
            raise
        if pid == 0:
            _run_forked(function, answer, output, session)
        return self._adopt(Child(pid, output=output, answer=answer))

    def adopt(self, pid: int) -> Child:
        """Keep the exit code of a process that becomes our child if its parent dies."""
        return self._adopt(Child(pid))

    def _adopt(self, child: Child) -> Child:
        self._children[child.pid] = child
        return child


def open_standard_streams() -> None:
    """Open /dev/null as stdin, stdout or stderr where that is closed.

    Otherwise the next file that is opened would get the number 0, 1 or 2.
    """
    while (descriptor := os.open("/dev/null", os.O_RDWR)) <= 2:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)


def close_all_but(*kept: int) -> None:
    """In a forked child that lives long, close all descriptors that it has inherited but these.

    Some of them are memory files with a secret. The kernel frees such a file only when no process
    has it open, so otherwise PID 1 could not forget the secret.
    """
    try:
        found = [int(name) for name in os.listdir("/proc/self/fd")]
    except OSError:  # /proc is not mounted
        found = list(range(_MOST_DESCRIPTORS))
    for descriptor in found:
        if descriptor not in kept:
            try:
                os.close(descriptor)
            except OSError:  # it is not open, or it was the descriptor of the listing itself
                pass


def become(argv: Sequence[str], *, env: Mapping[str, str], cwd: str) -> NoReturn:
    """Turn a forked child into a program, with stdin empty and signals as `spawn` sets them."""
    default_signals()
    os.dup2(os.open("/dev/null", os.O_RDONLY), 0)
    os.set_inheritable(0, True)  # if stdin was closed, open returned 0, and dup2 changed nothing
    os.chdir(cwd)
    os.execvpe(argv[0], list(argv), dict(env))


def _run_forked(
    function: Callable[[], bytes], answer: int, output: int | None, session: bool
) -> NoReturn:
    """Run the function in the child and exit: a return would continue the parent's code here."""
    code = _DEFECT
    gc.disable()  # the child ends soon, and garbage collection takes a tenth of its import time
    try:
        if session:
            os.setsid()
        if output is not None:
            os.dup2(output, 1)
            os.dup2(output, 2)
        restore_signals()
        os.write(answer, function())
        code = 0
    except BaseException:  # noqa: BLE001 - nothing may get past: below is the parent's code
        sys.excepthook(*sys.exc_info())
    finally:
        _flush()
        os._exit(code)


def memory_file(name: str, flags: int = os.MFD_CLOEXEC) -> int:
    """Return the descriptor of a new file in memory; it is never 0, 1 or 2, even if those are free.

    Raises OSError, with a note, where the kernel or a seccomp profile does not allow it.
    """
    try:
        descriptor = os.memfd_create(name, flags)
    except OSError as error:
        error.add_note("memfd_create(2)")
        raise
    if descriptor > 2:
        return descriptor
    import fcntl  # costs 0.3 ms of each start, for a rare case

    try:
        return fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 3)
    finally:
        os.close(descriptor)


def _contents(descriptor: int | None) -> bytes:
    if descriptor is None:
        return b""
    return os.pread(descriptor, os.fstat(descriptor).st_size, 0)


def _close(*descriptors: int | None) -> None:
    for descriptor in descriptors:
        if descriptor is not None:
            os.close(descriptor)


def _flush() -> None:
    """Write out what Python has buffered: a fork would duplicate it, and os._exit would lose it."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        # The stream is None if it was closed at the start; the pipe's reader is gone; it is closed.
        except (AttributeError, OSError, ValueError):
            pass
