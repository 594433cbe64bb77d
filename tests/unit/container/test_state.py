"""The state file: what others may know of the runner, whole or not at all."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest

from entrypoint.container import state
from entrypoint.errors import ExitCode, Failure


def test_what_is_known_is_kept(tmp_path: Path) -> None:
    """Each phase adds to what the ones before have told."""
    with state.State(str(tmp_path)) as seen:
        seen.enter(state.REGISTERING, name="r-1")
        seen.enter(state.LISTENING, id=7)
        told = state.read(str(tmp_path))
    assert (told["phase"], told["name"], told["id"]) == (state.LISTENING, "r-1", 7)
    assert told["since"].endswith("Z")


def test_the_end_is_told(tmp_path: Path) -> None:
    """After the end the phase is gone, and a Failure has left its message."""
    with pytest.raises(Failure), state.State(str(tmp_path)):
        raise Failure(ExitCode.RUNNER, "why it ended")
    told = state.read(str(tmp_path))
    assert (told["phase"], told["error"]) == (state.GONE, "why it ended")


def test_directory_is_made(tmp_path: Path) -> None:
    """A directory that is missing is made, and everybody may read in it."""
    with state.State(str(tmp_path / "run" / "gh-runner")) as seen:
        seen.enter(state.STOPPING)
        assert state.read(str(tmp_path / "run" / "gh-runner"))["phase"] == state.STOPPING
    assert [path.name for path in (tmp_path / "run" / "gh-runner").iterdir()] == [state.FILE]


def test_umask_hides_nothing(tmp_path: Path) -> None:
    """Whatever the umask, others can reach the directory and read the file; it stays as it was."""
    before = os.umask(0o077)
    try:
        with state.State(str(tmp_path / "run" / "gh-runner")) as seen:
            seen.enter(state.LISTENING)
            made = [tmp_path / "run", *(tmp_path / "run").rglob("*")]
            assert [stat.S_IMODE(p.stat().st_mode) for p in made] == [0o755, 0o755, 0o644]
    finally:
        assert os.umask(before) == 0o077


def test_file_in_the_place_of_the_directory(tmp_path: Path) -> None:
    """A directory that cannot be had is no reason to end."""
    (tmp_path / "file").write_text("")
    with state.State(str(tmp_path / "file")) as seen:
        seen.enter(state.LISTENING)
    assert state.read(str(tmp_path / "file")) == {}


@pytest.mark.parametrize("content", ["", "{", json.dumps({"phase": "x"})[:-1]])
def test_torn_file_is_no_state(tmp_path: Path, content: str) -> None:
    """What cannot be read is nothing, and no traceback."""
    (tmp_path / state.FILE).write_text(content)
    assert state.read(str(tmp_path)) == {}
