"""The working directories of the command and of the init."""

import os
from pathlib import Path

from tests.exec.conftest import Start
from tests.exec.harness import wait_until


def test_the_command_starts_where_it_was_called(start: Start, tmp_path: Path) -> None:
    """The command starts in the caller's directory, which can be unmounted from PID 1."""
    started = start("--", "sh", "-c", "echo 'ready (pid '; pwd; exec sleep 60", cwd=tmp_path)
    started.ready()
    assert started.line() == str(tmp_path)
    wait_until(lambda: os.readlink(f"/proc/{started.pid}/cwd") == "/")


def test_a_directory_that_is_gone(start: Start, tmp_path: Path) -> None:
    """The command starts although the caller's directory no longer exists."""
    gone = tmp_path / "gone"
    gone.mkdir()
    wrapper = ("sh", "-c", 'rmdir "$PWD" && exec "$@"', "sh")
    started = start("--", "readlink", "/proc/self/cwd", cwd=gone, wrapper=wrapper)
    assert started.rest() == [f"{gone} (deleted)"]
    assert started.wait() == 0
