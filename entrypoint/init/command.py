"""`gh-runner exec`: run one command under our PID 1 and nothing else, as dumb-init does.

It passes signals on, hands the terminal over, and ends what the command has left. There are no
settings, no GitHub, and no import that a bare Python does not pay for already: what is here is
the start-up time of `docker run IMAGE bash`.
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
    from collections.abc import Mapping, Sequence
    from typing import NoReturn

    from entrypoint.init.child import Child

NOT_EXECUTABLE, NOT_FOUND = 126, 127  # as a shell has them
SWEEP_GRACE = 2.0  # seconds that leftover processes have between TERM and KILL
SUSPENDING = (SIGNALS["SIGTSTP"], SIGNALS["SIGTTIN"], SIGNALS["SIGTTOU"])
STOPPING = (*SUSPENDING, SIGNALS["SIGSTOP"])
USAGE = "usage: gh-runner exec [-c] [-r SIGNAL:REPLACEMENT]... [-v] [--] COMMAND [ARG...]"
_HELP = """
  -c, --single-child    signal the command only, not its process group
  -r, --rewrite S:R     send it signal R where S comes in; 0 drops S
  -v, --verbose         tell on stderr what happens
"""
FAILED = 125  # as env(1) and timeout(1) have it
_LONG = {"--single-child": "-c", "--rewrite": "-r", "--verbose": "-v"}


class UsageError(Exception):
    """The command line makes no sense; the message says where."""


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
            # A process group without a parent in its session ignores SIGTSTP (setpgid(2)).
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
    """Return a signal's number, given that or a name with or without SIG."""
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

    def start(self, argv: list[str], meant: Sequence[str] = ()) -> Child:
        """Start the command in the caller's working directory, and leave that ourselves.

        Where there is no such command, one of the words in `meant` may have been.
        """
        session = not self._single_child
        terminal = _release_terminal() if session else None
        self._child = self.fork(lambda: _become_command(argv, terminal, meant), session=session)
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
        import termios  # only few have a terminal

        _ioctl(terminal, termios.TIOCNOTTY)
    return terminal


def _control_terminal(terminal: int) -> None:
    """Make it the controlling terminal of this new session."""
    import termios

    _ioctl(terminal, termios.TIOCSCTTY)


def _ioctl(terminal: int, request: int) -> None:
    """Ask for something that is refused where the terminal belongs to another session."""
    import fcntl

    try:
        fcntl.ioctl(terminal, request, 0)
    except OSError:
        pass


def _become_command(argv: list[str], terminal: int | None, meant: Sequence[str]) -> NoReturn:
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
    tell(f"{argv[0] or repr('')}: {reason}{_question(argv[0], meant) if _missing(failure) else ''}")
    os._exit(NOT_FOUND if _missing(failure) else NOT_EXECUTABLE)


def _question(word: str, meant: Sequence[str]) -> str:
    import difflib  # needed only where a command is unknown

    close = difflib.get_close_matches(word, meant, n=1)
    return f"; did you mean `gh-runner {close[0]}`?" if close else ""


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


def main(argv: Sequence[str], subcommands: Sequence[str] = ()) -> int:
    """Run the command that a command line asks for, `exec` in front or not; return its code.

    Where it is no command one of the `subcommands` may be meant.
    """
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
