"""`gh-runner exec`: run one command under our PID 1 and nothing else, as dumb-init does.

PID 1 passes signals on, hands the terminal over, and ends the processes that the command has left
behind. This module reads no settings and does not speak to GitHub. It imports almost nothing,
because each import is added to the start-up time of `docker run IMAGE bash`.
"""

from __future__ import annotations

import errno
import os

from entrypoint.init.pid1 import Init
from entrypoint.init.signals import (
    ALL_SIGNALS,
    SIGNALS,
    default_signals,
    ignore_broken_pipe,
    kill,
    signal_name,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import NoReturn

    from entrypoint.init.child import Child

NOT_EXECUTABLE, NOT_FOUND = 126, 127  # the exit codes that a shell uses
SWEEP_GRACE = 2.0  # seconds that leftover processes have between TERM and KILL
SUSPENDING = (SIGNALS["SIGTSTP"], SIGNALS["SIGTTIN"], SIGNALS["SIGTTOU"])
STOPPING = (*SUSPENDING, SIGNALS["SIGSTOP"])
USAGE = "usage: gh-runner exec [-c] [-r SIGNAL:REPLACEMENT]... [-v] [--] COMMAND [ARG...]"
_HELP = """
  -c, --single-child    signal the command only, not its process group
  -r, --rewrite S:R     send it signal R where S comes in; 0 drops S
  -v, --verbose         tell on stderr what happens
"""
FAILED = 125  # the exit code of env(1) and timeout(1) for a failure of their own
_LONG = {"--single-child": "-c", "--rewrite": "-r", "--verbose": "-v"}


class UsageError(Exception):
    """The command line cannot be understood; the message says where."""


class Options:
    """dumb-init's options, from the command line and from its environment variables."""

    def __init__(self, argv: Sequence[str]) -> None:
        """Read the command line after `exec`; raises UsageError."""
        self.single_child = os.environ.get("DUMB_INIT_SETSID") == "0"
        self.verbose = os.environ.get("DUMB_INIT_DEBUG") == "1"
        self.rewrites: dict[int, int] = {}
        self.command = list(argv)
        while self.command and len(self.command[0]) > 1 and self.command[0].startswith("-"):
            option = self.command.pop(0)
            if option == "--":
                break
            self._read(option)
        if not self.command:
            raise UsageError("no command")
        if not self.single_child:
            # The command is in a session of its own, so its process group is orphaned, and the
            # kernel does not stop an orphaned group at SIGTSTP (setpgid(2)). SIGSTOP does.
            for signum in SUSPENDING:
                self.rewrites.setdefault(signum, SIGNALS["SIGSTOP"])

    def _read(self, option: str) -> None:
        """Read one word of options, as getopt_long(3) does: -c, -vc, -r15:2, --rewrite=15:2."""
        name, equals, value = option.partition("=")
        if name.startswith("--"):
            short = _LONG.get(name, "")
            if not short or (equals and short != "-r"):
                raise UsageError(f"unknown option {option}")
            self._rewrite(value) if equals else self._read(short)
            return
        for position, letter in enumerate(option[1:], start=2):
            match letter:
                case "c":
                    self.single_child = True
                case "v":
                    self.verbose = True
                case "r":
                    self._rewrite(option[position:] or self._next_word())
                    return
                case _:
                    raise UsageError(f"unknown option {option}")

    def _next_word(self) -> str:
        if not self.command:
            raise UsageError("-r needs SIGNAL:REPLACEMENT")
        return self.command.pop(0)

    def _rewrite(self, pair: str) -> None:
        left, _, right = pair.partition(":")
        received = _number(left, pair)
        self.rewrites[received] = 0 if right == "0" else _number(right, pair)


def _number(text: str, pair: str) -> int:
    """Return the number of a signal that is given by its number, or by its name, SIG or not."""
    name = text.upper()
    number = SIGNALS.get(name, SIGNALS.get(f"SIG{name}", 0))
    if text.isascii() and text.isdigit() and len(text) <= 2:
        number = int(text)
    if number not in ALL_SIGNALS:
        raise UsageError(f"-r {pair}: {text!r} is no signal")
    return number


class Proxy(Init):
    """PID 1 of one command: passes on every signal that can be caught."""

    def __init__(self, rewrites: Mapping[int, int], single_child: bool, verbose: bool) -> None:
        """Take the options.

        `rewrites` maps the signal that comes in to the one that is passed on, 0 for none. With
        `single_child` the command stays in our session, and signals go to it alone. Otherwise it
        gets a session of its own, and signals go to its process group. `verbose` tells on stderr
        what happens.
        """
        super().__init__()
        self._rewrites = rewrites
        self._single_child = single_child
        self._verbose = verbose
        self._child: Child | None = None
        if not self.is_pid_1:
            self._debug("not PID 1: reaping as a child subreaper")

    def start(self, argv: list[str], meant: Sequence[str] = ()) -> Child:
        """Start the command in the current directory; our own is / afterwards.

        If there is no such command, the error message suggests the word of `meant` that is close.
        """
        session = not self._single_child
        terminal = _release_terminal() if session else None
        self._child = self.fork(lambda: _become_command(argv, terminal, meant), session=session)
        os.chdir("/")  # a file system cannot be unmounted while a process has its directory there
        self._debug(f"started {argv[0]} as process {self._child.pid}")
        return self._child

    def finish(self, child: Child) -> int:
        """Wait for the command, end the processes that it left, and return its exit code."""
        while (code := self.wait(child)) is None:
            pass
        self._debug(f"process {child.pid} has ended with {code}")
        self.begin_cleanup()
        # A single child stays in the caller's session. Where this process is not PID 1, processes
        # that the child leaves there belong to the caller, as under dumb-init.
        if self.is_pid_1 or not self._single_child:
            self.sweep(SWEEP_GRACE)
        return code

    def handle(self, signum: int) -> None:
        """Pass a signal on; one that suspends stops the command first, and then this process."""
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
    """Give the controlling terminal up, so that the child can take it; return its descriptor.

    Returns None without a terminal. A terminal belongs to one session at a time. At TIOCNOTTY the
    kernel sends us SIGHUP and SIGCONT with our own pid as the sender (ioctl_tty(2)). Those two
    are not passed on.
    """
    terminal = next((descriptor for descriptor in range(3) if os.isatty(descriptor)), None)
    if terminal is not None and os.getsid(0) == os.getpid():
        import termios  # only here, because most containers have no terminal

        _ioctl(terminal, termios.TIOCNOTTY)
    return terminal


def _control_terminal(terminal: int) -> None:
    import termios

    _ioctl(terminal, termios.TIOCSCTTY)


def _ioctl(terminal: int, request: int) -> None:
    import fcntl

    try:
        fcntl.ioctl(terminal, request, 0)
    except OSError:  # the terminal belongs to another session
        pass


def _become_command(argv: list[str], terminal: int | None, meant: Sequence[str]) -> NoReturn:
    """Turn this forked child into the command; if that fails, say why, and exit."""
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
    tell(f"{argv[0] or repr('')}: {reason}{_question(argv[0], meant) if _missing(failure) else ''}")
    os._exit(NOT_FOUND if _missing(failure) else NOT_EXECUTABLE)


def _question(word: str, meant: Sequence[str]) -> str:
    import difflib  # only here, because a known command needs no suggestion

    close = difflib.get_close_matches(word, meant, n=1)
    return f"; did you mean `gh-runner {close[0]}`?" if close else ""


def _execute(argv: list[str]) -> tuple[OSError, str]:
    """Look the command up and execute it, as execvp(3) does.

    Returns only on failure: the error that tells the user most, and the path that it is about.
    """
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
    """Run a script without a #! line by /bin/sh, as execvp(3) does.

    A file with a zero byte is a binary, perhaps for another CPU: that is left alone.
    """
    try:
        with open(path, "rb") as file:
            if b"\0" in file.read(256):
                return
        ignore_broken_pipe()
        tell(f"{path} has no #! line, so /bin/sh runs it")
        default_signals()
        os.execv("/bin/sh", ["/bin/sh", path, *argv[1:]])
    except OSError:  # there is no shell either; the caller reports its own error, which says more
        pass


_hooks: dict[str, Callable[[str], str]] = {"redact": str}


def tell(text: str) -> None:
    """Write one line to stderr, with secrets redacted; do nothing if stderr is closed."""
    text = _hooks["redact"](text)
    line = "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
    try:
        os.write(2, f"gh-runner exec: {line}\n".encode())
    except OSError:
        pass


def main(
    argv: Sequence[str],
    subcommands: Sequence[str] = (),
    redact: Callable[[str], str] = str,
) -> int:
    """Run the command of a command line, with or without `exec` in front; return its exit code.

    Without `exec`, an unknown command may be a misspelt one of `subcommands`: the error says so.
    `redact` takes secrets out of messages: a word that is no command may be a secret.
    """
    _hooks["redact"] = redact
    if argv in (["exec", "--help"], ["exec", "-h"]):
        os.write(1, f"{USAGE}\n{_HELP}".encode())
        return 0
    try:
        options = Options(argv[1:] if argv[:1] == ["exec"] else argv)
    except UsageError as error:
        tell(f"{error}; {USAGE}")
        return FAILED
    try:
        proxy = Proxy(options.rewrites, options.single_child, options.verbose)
        child = proxy.start(options.command, () if argv[:1] == ["exec"] else subcommands)
    except OSError as error:
        tell(f"{options.command[0]} cannot be started: {error.strerror}")
        return FAILED
    return proxy.finish(child)
