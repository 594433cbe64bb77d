"""What cannot be run: one line on stderr, the right code, no traceback."""

import os
import re
from pathlib import Path

import pytest

from tests.exec.conftest import Start


def complaint(started_stderr: str) -> str:
    """Return the one line on stderr."""
    (line,) = started_stderr.splitlines()
    assert line.startswith("gh-runner exec: ")
    return line


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--"],
        ["-v"],
        ["-r"],
        ["--rewrite"],
        *(["-r", pair, "true"] for pair in ["", ":", "15", "15:", ":2", "15:2:3", "herp:derp"]),
        *(["-r", pair, "true"] for pair in ["0:15", "65:15", "-1:2", "15:99", "32:1", "_BLOCK:1"]),
        ["-r15:x", "true"],
        [f"--rewrite={'9' * 5000}:1", "true"],
        ["--verbose=1", "true"],
        ["-x", "true"],
        ["--no-such-option", "true"],
    ],
)
def test_a_wrong_command_line_is_refused(start: Start, arguments: list[str]) -> None:
    """A wrong command line starts nothing; one line explains it, and the code is 125."""
    started = start(*arguments)
    assert started.wait() == 125
    assert "usage: gh-runner exec" in complaint(started.stderr())


@pytest.mark.parametrize("name", ["no-such-command", "./no-such-command", "", "a\nb", "\udc80"])
def test_a_command_that_is_not_there_is_127(start: Start, name: str) -> None:
    """A command that is not found is named, and the code is 127 as in a shell."""
    started = start("--", name)
    assert started.wait() == 127
    assert re.search(r": No such file or directory$", complaint(started.stderr()))


def make(path: Path, content: bytes, mode: int = 0o755) -> str:
    """Write a file with a mode and return its path."""
    path.write_bytes(content)
    path.chmod(mode)
    return str(path)


def test_a_directory_is_126(start: Start, tmp_path: Path) -> None:
    """A directory cannot be executed, and the line says that it is one."""
    started = start(str(tmp_path))
    assert started.wait() == 126
    assert complaint(started.stderr()).endswith(f"{tmp_path}: Is a directory")


def test_a_file_without_permission_is_126(start: Start, tmp_path: Path) -> None:
    """A file that may not be executed is named."""
    name = make(tmp_path / "file", b"#!/bin/sh\n", 0o644)
    started = start(name)
    assert started.wait() == 126
    assert complaint(started.stderr()).endswith(f"{name}: Permission denied")


def test_a_program_of_another_machine_is_126(start: Start, tmp_path: Path) -> None:
    """A binary that the kernel cannot execute is refused; no shell gets it."""
    name = make(tmp_path / "file", b"\x7fELF\x02\x01\x01\0\0\0 of another CPU")
    started = start(name)
    assert started.wait() == 126
    assert complaint(started.stderr()).endswith(f"{name}: Exec format error")


def test_a_missing_interpreter_is_told_from_a_missing_file(start: Start, tmp_path: Path) -> None:
    """The line tells a missing interpreter from a missing file."""
    name = make(tmp_path / "file", b"#!/no/such/interpreter\n")
    started = start(name)
    assert started.wait() == 127
    assert "interpreter or loader" in complaint(started.stderr())


def test_a_script_without_interpreter_runs_in_the_shell(start: Start, tmp_path: Path) -> None:
    """A script without #! runs as in a shell or under dumb-init, and a line says so."""
    name = make(tmp_path / "script", b'echo "$0 $1"; exit 3\n')
    started = start("--", name, "argument")
    assert started.rest() == [f"{name} argument"]
    assert started.wait() == 3
    assert "no #! line" in complaint(started.stderr())


def test_the_first_that_can_be_executed_on_the_path_is_taken(start: Start, tmp_path: Path) -> None:
    """A file on the PATH that may not be executed does not hide one that may."""
    for directory in ("one", "two"):
        (tmp_path / directory).mkdir()
    make(tmp_path / "one/command", b"#!/bin/sh\nexit 1\n", 0o644)
    make(tmp_path / "two/command", b"#!/bin/sh\nexit 4\n")
    path = f"{tmp_path}/one:{tmp_path}/two:{os.environ['PATH']}"
    assert start("command", env=os.environ | {"PATH": path}).wait() == 4


def test_ten_thousand_arguments(start: Start) -> None:
    """All arguments arrive."""
    started = start("--", "sh", "-c", 'echo "$#"', "sh", *(["-v"] * 10_000))
    assert started.rest() == ["10000"]


def test_words_after_the_command_are_not_ours(start: Start) -> None:
    """A word after the command belongs to the command, even if it looks like an option."""
    assert start("echo", "-c", "--", "-v").rest() == ["-c -- -v"]


def test_no_room_for_a_process_is_one_line(start: Start) -> None:
    """If the kernel starts no process, the line says so, and the code is 125."""
    # In a PID namespace whose first process has ended, fork(2) fails.
    wrapper = ("unshare", "--pid", "sh", "-c", 'true & wait; exec "$@"', "sh")
    started = start("true", wrapper=wrapper)
    assert started.wait() == 125
    assert complaint(started.stderr()).endswith("true cannot be started: Cannot allocate memory")
