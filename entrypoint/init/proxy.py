"""PID 1 of one command: passes signals on, hands the terminal over, ends what is left.

Knows nothing of runners, as init.py, and imports no more than that.
"""

from __future__ import annotations

import errno
import os

from entrypoint.init.pid1 import Init
from entrypoint.init.signals import SIGNALS, default_signals, ignore_broken_pipe, kill, signal_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import NoReturn

    from entrypoint.init.child import Child

NOT_EXECUTABLE, NOT_FOUND = 126, 127  # as a shell has them
SWEEP_GRACE = 2.0  # seconds that leftover processes have between TERM and KILL
SUSPENDING = (SIGNALS["SIGTSTP"], SIGNALS["SIGTTIN"], SIGNALS["SIGTTOU"])
STOPPING = (*SUSPENDING, SIGNALS["SIGSTOP"])


class Proxy(Init):
    """PID 1 of one command: passes on every signal that can be caught."""

    def __init__(self, rewrites: Mapping[int, int], single_child: bool, verbose: bool) -> None:
        """Take which signal is passed on as which (0: not at all), to whom, and whether to talk.

        With `single_child` signals go to the command alone, which stays in our session;
        otherwise to its process group, in a session of its own.
        """
        super().__init__()
        self._rewrites = rewrites
        self._single_child = single_child
        self._verbose = verbose
        self._child: Child | None = None
        if not self.is_pid_1:
            self._debug("not PID 1: reaping as a child subreaper")

    def start(self, argv: list[str]) -> Child:
        """Start the command in the caller's working directory, and leave that ourselves."""
        session = not self._single_child
        terminal = _release_terminal() if session else None
        self._child = self.fork(lambda: _become_command(argv, terminal), session=session)
        os.chdir("/")  # so that nobody is kept from unmounting
        self._debug(f"started {argv[0]} as process {self._child.pid}")
        return self._child

    def finish(self, child: Child) -> int:
        """Wait for the command, end what it has left, and return its exit code."""
        while (code := self.wait(child)) is None:
            pass
        self._debug(f"process {child.pid} has ended with {code}")
        self.begin_cleanup()
        self.sweep(SWEEP_GRACE)
        return code

    def handle(self, signum: int) -> None:
        """Pass a signal on; a suspending one stops the command first and then ourselves."""
        child = self._child
        if child is None or child.outcome is not None:
            super().handle(signum)
            return
        sent = self._rewrites.get(signum, signum)
        if sent and self._single_child:
            kill(child.pid, sent)
        elif sent:
            self.signal_group(child, sent)
        if self._verbose:
            fate = f"passed on as {signal_name(sent)}" if sent else "ignored"
            tell(f"{signal_name(signum)} {fate}")
        if signum in SUSPENDING:
            self.suspend(child if sent in STOPPING else None)

    def _debug(self, text: str) -> None:
        if self._verbose:
            tell(text)


def _release_terminal() -> int | None:
    """Return the descriptor of the terminal, if there is one, for the child to control.

    A terminal has one session: ours gives it up. The kernel tells us so with SIGHUP and SIGCONT,
    which come from ourselves and are therefore not passed on (TIOCNOTTY in ioctl_tty(2)).
    """
    terminal = next((descriptor for descriptor in range(3) if os.isatty(descriptor)), None)
    if terminal is not None and os.getsid(0) == os.getpid():
        import termios  # noqa: PLC0415 - only few have a terminal

        _ioctl(terminal, termios.TIOCNOTTY)
    return terminal


def _control_terminal(terminal: int) -> None:
    """Make it the controlling terminal of this new session."""
    import termios  # noqa: PLC0415

    _ioctl(terminal, termios.TIOCSCTTY)


def _ioctl(terminal: int, request: int) -> None:
    """Ask for something that is refused where the terminal belongs to another session."""
    import fcntl  # noqa: PLC0415

    try:
        fcntl.ioctl(terminal, request, 0)
    except OSError:
        pass


def _become_command(argv: list[str], terminal: int | None) -> NoReturn:
    """Turn this forked child into the command, or say why that cannot be, and exit."""
    if terminal is not None:
        _control_terminal(terminal)
    default_signals()
    failure, path = _execute(argv)
    reason = failure.strerror
    if os.path.isdir(path):
        reason = "Is a directory"
    elif _missing(failure) and os.path.isfile(path):
        reason = "The interpreter or loader that it names does not exist"
    ignore_broken_pipe()
    tell(f"{argv[0] or repr('')}: {reason}")
    os._exit(NOT_FOUND if _missing(failure) else NOT_EXECUTABLE)


def _execute(argv: list[str]) -> tuple[OSError, str]:
    """Try what execvp(3) tries; return the error that counts, and the path that it is about."""
    name = argv[0]
    failure, failed = OSError(errno.ENOENT, os.strerror(errno.ENOENT)), name
    directories = [""] if "/" in name else os.get_exec_path()
    for path in (os.path.join(directory, name) for directory in directories if name):
        try:
            os.execv(path, argv)
        except OSError as error:
            if error.errno == errno.ENOEXEC:
                _interpret(path, argv)
            if failure.errno == errno.ENOENT and (not _missing(error) or os.path.isfile(path)):
                failure, failed = error, path
    return failure, failed


def _missing(error: OSError) -> bool:
    return error.errno in (errno.ENOENT, errno.ENOTDIR)


def _interpret(path: str, argv: list[str]) -> None:
    """Run a script without #! by the shell, as execvp(3) does, but no binary of another CPU."""
    try:
        with open(path, "rb") as file:
            if b"\0" in file.read(256):
                return
        ignore_broken_pipe()
        tell(f"{path} has no #! line, so /bin/sh runs it")
        default_signals()
        os.execv("/bin/sh", ["/bin/sh", path, *argv[1:]])
    except OSError:  # no shell either: the first error is what the user has to know
        pass


def tell(text: str) -> None:
    """Write one line to stderr, which may be closed."""
    line = "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
    try:
        os.write(2, f"gh-runner exec: {line}\n".encode())
    except OSError:
        pass
