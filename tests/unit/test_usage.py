"""`--help`, of the program and of each of its subcommands."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from entrypoint import usage

LISTED = re.findall(r"^  (\w+)", usage.TEXT, re.MULTILINE)
SUBCOMMANDS = [word for word in LISTED if word.islower()]


def gh_runner(*words: str) -> subprocess.CompletedProcess[str]:
    """Run the program without any settings."""
    command = [sys.executable, "-I", "-m", "entrypoint", *words]
    return subprocess.run(command, env={}, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("option", ["--help", "-h"])
@pytest.mark.parametrize("subcommand", [[], *([name] for name in SUBCOMMANDS)])
def test_help(subcommand: list[str], option: str) -> None:
    """Help is printed to stdout with exit code 0, and nothing is done."""
    done = gh_runner(*subcommand, option)
    assert (done.returncode, done.stderr) == (0, "")
    name = "" if subcommand in ([], ["run"]) else f" {subcommand[0]}"
    assert done.stdout.startswith(f"usage: gh-runner{name} [")


def test_subcommands_are_listed() -> None:
    """The help lists every subcommand."""
    assert SUBCOMMANDS == ["run", "check", "settings", "status", "sweep", "jit", "exec"]
    first = usage.TEXT.splitlines()[0]
    assert all(name in first for name in SUBCOMMANDS)


def test_help_as_a_word() -> None:
    """`gh-runner help`, which many people try first, prints the help."""
    assert gh_runner("help").stdout == usage.TEXT


@pytest.mark.parametrize("word", ["--version", "version"])
def test_version(word: str) -> None:
    """The version printed is the package's, and nothing is done."""
    done = gh_runner(word)
    assert (done.returncode, done.stderr) == (0, "")
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    assert done.stdout.startswith(f"gh-runner {project['version']}")


@pytest.mark.parametrize(("word", "meant"), [("chekc", "check"), ("stauts", "status")])
def test_misspelt_subcommand(word: str, meant: str) -> None:
    """A word that is no command, but similar to a subcommand, is refused with a question."""
    done = gh_runner(word)
    assert done.returncode == 127
    assert f"did you mean `gh-runner {meant}`?" in done.stderr
    assert "did you mean" not in gh_runner("exec", word).stderr
    assert "did you mean" not in gh_runner("frobnicate").stderr


@pytest.mark.parametrize("given", [{}, {"LC_CTYPE": "C"}, {"LANG": "C"}])
def test_the_locale_is_left_alone(given: dict[str, str]) -> None:
    """A command gets the container's own LC_CTYPE, not the one that Python sets for itself."""
    command = [sys.executable, "-I", "-m", "entrypoint", "/usr/bin/env"]
    assert subprocess.check_output(command, env=given, text=True).split() == [
        f"{name}={value}" for name, value in given.items()
    ]
