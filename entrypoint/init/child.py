"""Child processes: how they are started, and what their parent keeps of them.

Standard library only. All that is delicate about a child lies between fork and exec: it inherits
our blocked signals and Python's handlers, and a session of its own begins late.
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


class Child:
    """A process that was started here; `outcome` is its exit code once it has been reaped."""

    def __init__(self, pid: int, output: int | None = None, answer: int | None = None) -> None:
        """Take the pid, and the descriptors of the memory files that it writes into, if any."""
        self.pid = pid
        self.outcome: int | None = None
        self.usage: resource.struct_rusage | None = None  # once it has been reaped (getrusage(2))
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
        _close(self._output, self._answer)
        self._output = self._answer = None


class Parent:
    """Starts children and remembers those that have not been reaped."""

    def __init__(self) -> None:
        """Begin without any."""
        self._children: dict[int, Child] = {}

    def is_ours(self, pid: int) -> bool:
        """Return whether that process was started here and has not been reaped."""
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
        """Start a program in a session of its own, no signal blocked or ignored.

        `env` is its whole environment; the program is looked up on our own PATH. Its stdin
        is empty, or a descriptor. It inherits
        stdout and stderr, or writes both into the descriptor `output`, or with `capture` into
        `Child.output()`. Our own working
        directory is / afterwards. Raises OSError if it cannot be started.
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
            os.chdir(cwd)  # posix_spawn has no chdir; there is no thread that could notice
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

        Every signal but SIGPIPE and SIGXFSZ ends it. An exception is a traceback on stderr and
        exit code 70. The function may also `become` another program, which then has its pid.
        Without `session` it stays in our process group. Raises OSError if there is no room.
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
        """Remember a process that may become our child, so that its exit code is kept then."""
        return self._adopt(Child(pid))

    def _adopt(self, child: Child) -> Child:
        self._children[child.pid] = child
        return child


def open_standard_streams() -> None:
    """Put /dev/null where stdin, stdout or stderr is closed: no file of ours gets its number."""
    while (descriptor := os.open("/dev/null", os.O_RDWR)) <= 2:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)


def become(argv: Sequence[str], *, env: Mapping[str, str], cwd: str) -> NoReturn:
    """Turn a forked child into a program, with stdin empty and signals as `spawn` sets them."""
    default_signals()
    os.dup2(os.open("/dev/null", os.O_RDONLY), 0)
    os.set_inheritable(0, True)  # stdin was closed, if open has returned 0
    os.chdir(cwd)
    os.execvpe(argv[0], list(argv), dict(env))


def _run_forked(
    function: Callable[[], bytes], answer: int, output: int | None, session: bool
) -> NoReturn:
    """The life of a forked child: never returns into the code of its parent."""
    code = _DEFECT
    gc.disable()  # it ends soon, and looking for garbage is a tenth of the time of its imports
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
    """Return a new file in memory, above the standard three, which may be closed.

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
    """Write out what Python buffers: a fork would duplicate it, os._exit lose it."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (AttributeError, OSError, ValueError):  # None if closed; nobody reads; closed
            pass
