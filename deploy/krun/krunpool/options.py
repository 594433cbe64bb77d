"""The options, their variables and defaults, and the values that were given."""

from __future__ import annotations

import getopt
import math
import textwrap
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from krunpool.errors import Problem


class Option(NamedTuple):
    """One option: its letter, its variable (which the letter overrides), default and sentence."""

    letter: str
    variable: str
    default: str
    about: str
    value: str = "VALUE"  # the name of its value in the help; "": it has none


ORCHESTRATOR = (
    Option("n", "ORCHESTRATOR_RUNNERS", "1", "microVMs at a time", "NUMBER"),
    Option("p", "ORCHESTRATOR_PREFIX", "GH-runner", "how names begin: PREFIX-LOOP-RANDOM"),
    Option(
        "R",
        "ORCHESTRATOR_RUNTIME",
        "",
        "podman+krun, podman+RUNTIME or krunvm; empty: podman+krun if krun is installed,"
        " else krunvm",
        "RUNTIME",
    ),
    Option(
        "s",
        "ORCHESTRATOR_SLEEP",
        "30",
        "the next loop starts once the last one listens for jobs, or after so many seconds",
        "SECONDS",
    ),
    Option("I", "ORCHESTRATOR_ISOLATION", "1", "do not wait for that, always take -s", ""),
    Option("d", "ORCHESTRATOR_DIR", "", "where the shared folders are made", "DIRECTORY"),
    Option("l", "ORCHESTRATOR_LOG", "2", "where the log goes: a descriptor or a path", "LOG"),
    Option("v", "ORCHESTRATOR_VERBOSE", "0", "tell more; -vv tells most", ""),
    Option("h", "", "", "print this text", ""),
    Option(
        "",
        "ORCHESTRATOR_SWEEP",
        "60",
        "seconds until a microVM that was killed is looked for on GitHub's list",
        "SECONDS",
    ),
)
RUNNER = (
    Option("c", "RUNNER_CPUS", "2", "virtual processors of a microVM", "NUMBER"),
    Option("m", "RUNNER_MEMORY", "1024", "its memory", "MIB"),
    Option("d", "RUNNER_DNS", "1.1.1.1", "its name server; empty: the engine's own", "ADDRESS"),
    Option(
        "D",
        "RUNNER_DIR",
        "",
        "mount the checkout that this program is part of there, and run its entrypoint",
        "PATH",
    ),
    Option("g", "RUNNER_GITHUB", "github.com", "GitHub's host", "HOST"),
    Option("G", "RUNNER_GROUP", "Default", "runner group", "NAME"),
    Option("i", "RUNNER_IMAGE", "localhost/gh-runner:latest", "image of the microVM", "IMAGE"),
    Option("l", "RUNNER_LOG", "2", "as before the --", "LOG"),
    Option(
        "L",
        "RUNNER_LABELS",
        "",
        "labels, separated by commas; empty: krun, krunvm and the image's system",
        "LABELS",
    ),
    Option(
        "M",
        "RUNNER_MOUNT",
        "",
        "a mount, as for a cache; may be repeated, the variable has one a line",
        "HOSTDIR:VMDIR[:OPTIONS]",
    ),
    Option("p", "RUNNER_PRINCIPAL", "", "whom the runner serves: OWNER/REPOSITORY, …", "NAME"),
    Option("k", "RUNNER_TERMINATE", "0", "longest life of a microVM; 0: no limit", "SECONDS"),
    Option("r", "RUNNER_REPEAT", "-1", "microVMs that a loop starts; -1: no limit", "NUMBER"),
    Option("R", "RUNNER_RUNTIME", "", "as before the --", "RUNTIME"),
    Option("s", "RUNNER_SCOPE", "repo", "what -p names: repo, org or enterprise", "SCOPE"),
    Option(
        "S", "RUNNER_SECRET", "", "what a stop file must hold; empty: random, each time", "@FILE"
    ),
    Option("T", "RUNNER_PAT", "", "the personal access token, in a file", "@FILE"),
    Option("u", "RUNNER_USER", "runner", "user that jobs run as", "NAME"),
    Option("U", "RUNNER_UPDATE", "0", "let GitHub's runner replace itself", ""),
    Option("v", "RUNNER_VERBOSE", "0", "as before the --", ""),
    Option("h", "", "", "print this text", ""),
)
USAGE = """\
usage: orchestrator [OPTION...] [-- RUNNER-OPTION...]

Keeps ephemeral GitHub runners alive, each in a microVM of its own. SIGTERM and SIGINT stop them
all and take them off GitHub's list; a second one hurries.

Options, and the variables that are read where an option is not given:
{}
Runner options, after --:
{}
Every other variable that begins with RUNNER_, GITHUB_ or ACTIONS_RUNNER_ is handed to the runner
in the microVM; its own documentation lists them. GITHUB_PERSONAL_TOKEN, GITHUB_APP_PRIVATE_KEY
and RUNNER_TOKEN, and the same with _FILE, are taken in place of -T.
"""


def usage() -> str:
    """Return the help."""
    return USAGE.format(*("\n".join(map(_help_line, table)) for table in (ORCHESTRATOR, RUNNER)))


def _help_line(option: Option) -> str:
    left = f"-{option.letter} {option.value}".strip() if option.letter else ""
    default = f" [{option.default}]" if option.default else ""
    lines = textwrap.wrap(f"{option.about}{default}", 99 - 54, break_on_hyphens=False)
    return f"\n{54 * ' '}".join([f"  {left:<26} {option.variable:<24} {lines[0]}", *lines[1:]])


class Given:
    """The values of one table of options, from the command line and the environment."""

    def __init__(
        self, options: Sequence[Option], words: Sequence[str], environ: Mapping[str, str]
    ) -> None:
        """Split the words; a Problem names an option that is unknown or lacks its value."""
        letters = "".join(o.letter + (":" if o.value else "") for o in options if o.letter)
        try:
            pairs, self.rest = getopt.getopt(list(words), letters)
        except getopt.GetoptError as error:
            raise Problem(f"{error.msg}; -h lists them") from None
        self._options = {o.variable or o.letter: o for o in options}
        self._given: dict[str, list[str]] = {}
        for name, value in pairs:
            self._given.setdefault(name[1:], []).append(value)
        self._environ = environ

    def has(self, letter: str) -> bool:
        """Whether the option itself was given."""
        return letter in self._given

    def count(self, letter: str) -> int:
        """Return how often the option was given."""
        return len(self._given.get(letter, []))

    def all(self, variable: str) -> list[str]:
        """Return each value of an option that may be repeated; a variable has one value a line."""
        option = self._options[variable]
        return self._given.get(option.letter) or self._environ.get(variable, "").splitlines()

    def one(self, variable: str) -> str:
        """Return the last value on the command line, else the variable's, else the default."""
        option = self._options[variable]
        if option.value and option.letter in self._given:
            return self._given[option.letter][-1]
        return self._environ.get(variable, "") or option.default

    def flag(self, variable: str) -> bool:
        """Return a setting of 0 or 1 as a bool."""
        text = self._environ.get(variable, "") or self._options[variable].default
        if text.lower() in ("1", "true", "yes", "on"):
            return True
        if text.lower() in ("0", "false", "no", "off"):
            return False
        raise Problem(f"{variable}: {text!r} is neither 0 nor 1")

    def name(self, variable: str) -> str:
        """Return the name of a setting for messages."""
        letter = self._options[variable].letter
        return f"-{letter}" if letter in self._given else variable

    def number(self, variable: str, least: int, most: float = math.inf) -> int:
        """Return a whole number within limits."""
        text = self.one(variable)
        limits = f"{least} to {most:g}" if most < math.inf else f"{least} or more"
        try:
            number = int(text)
        except ValueError:
            raise Problem(f"{self.name(variable)}: {text!r} is no whole number") from None
        if not least <= number <= most:
            raise Problem(f"{self.name(variable)}: {number} is not {limits}")
        return number

    def seconds(self, variable: str) -> float:
        """Return a number of seconds."""
        text = self.one(variable)
        try:
            number = float(text)
        except ValueError:
            raise Problem(f"{self.name(variable)}: {text!r} is no number of seconds") from None
        if not 0 <= number < math.inf:
            raise Problem(f"{self.name(variable)}: {text!r} is no number of seconds")
        return number
