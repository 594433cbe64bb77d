"""`gh-runner exec`: run one command under our PID 1 and nothing else, as dumb-init does.

No settings, no GitHub, and no import that a bare Python does not pay for already: what is here
is the start-up time of `docker run IMAGE bash`.
"""

from __future__ import annotations

import os

from entrypoint.init.proxy import SUSPENDING, Proxy, tell
from entrypoint.init.signals import ALL_SIGNALS, SIGNALS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

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


def main(argv: Sequence[str]) -> int:
    """Run the command that a command line asks for, `exec` in front or not; return its code."""
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
        child = proxy.start(options.command)
    except OSError as error:
        tell(f"{options.command[0]} cannot be started: {error.strerror}")
        return FAILED
    return proxy.finish(child)
