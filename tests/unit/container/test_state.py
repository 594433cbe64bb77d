"""The state file is complete, or is not there."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest

from entrypoint.container import state
from entrypoint.errors import ExitCode, Failure


def test_what_is_known_is_kept(tmp_path: Path) -> None:
    """Each phase keeps the values of earlier phases."""
    with state.StateFile(str(tmp_path)) as file:
        file.enter(state.REGISTERING, name="r-1")
        file.enter(state.LISTENING, id=7)
        told = state.read(str(tmp_path))
    assert (told["phase"], told["name"], told["id"]) == (state.LISTENING, "r-1", 7)
    assert told["since"].endswith("Z")


def test_the_end_is_told(tmp_path: Path) -> None:
    """At the end the phase is `gone`; after a Failure its message is there."""
    with pytest.raises(Failure), state.StateFile(str(tmp_path)):
        raise Failure(ExitCode.RUNNER, "why it ended")
    told = state.read(str(tmp_path))
    assert (told["phase"], told["error"]) == (state.GONE, "why it ended")


def test_directory_is_made(tmp_path: Path) -> None:
    """A missing directory is made, and every user may read in it."""
    with state.StateFile(str(tmp_path / "run" / "gh-runner")) as file:
        file.enter(state.STOPPING)
        assert state.read(str(tmp_path / "run" / "gh-runner"))["phase"] == state.STOPPING
    assert [path.name for path in (tmp_path / "run" / "gh-runner").iterdir()] == [state.FILE]


def test_umask_hides_nothing(tmp_path: Path) -> None:
    """Every user can read the file in spite of the umask, which does not change."""
    before = os.umask(0o077)
    try:
        with state.StateFile(str(tmp_path / "run" / "gh-runner")) as file:
            file.enter(state.LISTENING)
            made = [tmp_path / "run", *(tmp_path / "run").rglob("*")]
            assert [stat.S_IMODE(p.stat().st_mode) for p in made] == [0o755, 0o755, 0o644]
    finally:
        assert os.umask(before) == 0o077


def test_file_in_the_place_of_the_directory(tmp_path: Path) -> None:
    """A directory that cannot be made does not end the life."""
    (tmp_path / "file").write_text("")
    with state.StateFile(str(tmp_path / "file")) as file:
        file.enter(state.LISTENING)
    assert state.read(str(tmp_path / "file")) == {}


@pytest.mark.parametrize("content", ["", "{", json.dumps({"phase": "x"})[:-1]])
def test_torn_file_is_no_state(tmp_path: Path, content: str) -> None:
    """A file that cannot be parsed counts as none, without a traceback."""
    (tmp_path / state.FILE).write_text(content)
    assert state.read(str(tmp_path)) == {}
