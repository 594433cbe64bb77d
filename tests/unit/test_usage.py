"""`--help`, of the program and of each of its subcommands."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from entrypoint import usage

LISTED = re.findall(r"^  (\w+)", usage.TEXT, re.MULTILINE)
SUBCOMMANDS = [word for word in LISTED if word.islower()]


def gh_runner(*words: str) -> subprocess.CompletedProcess[str]:
    """Run the program, with no settings in its environment."""
    command = [sys.executable, "-I", "-m", "entrypoint", *words]
    return subprocess.run(command, env={}, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("option", ["--help", "-h"])
@pytest.mark.parametrize("subcommand", [[], *([name] for name in SUBCOMMANDS)])
def test_help(subcommand: list[str], option: str) -> None:
    """Help goes to stdout, nothing is done, and all is well."""
    done = gh_runner(*subcommand, option)
    assert (done.returncode, done.stderr) == (0, "")
    name = "" if subcommand in ([], ["run"]) else f" {subcommand[0]}"
    assert done.stdout.startswith(f"usage: gh-runner{name} [")


def test_subcommands_are_listed() -> None:
    """Whoever asks for help learns of every subcommand."""
    assert SUBCOMMANDS == ["run", "check", "status", "sweep", "exec"]
    first = usage.TEXT.splitlines()[0]
    assert all(name in first for name in SUBCOMMANDS)
