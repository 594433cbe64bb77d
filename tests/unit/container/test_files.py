"""Directories that root opens, although a job may have changed what leads to them."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from entrypoint.container import files

JOB = 65534  # the user nobody


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Make a directory of root's with two in it: one of root's, and one of the job's user."""
    (tmp_path / "precious").mkdir()
    (tmp_path / "job").mkdir()
    os.chown(tmp_path / "job", JOB, JOB)
    return tmp_path


def link(path: Path, target: str | Path, owner: int) -> None:
    """Make a symbolic link that belongs to this user."""
    path.symlink_to(target)
    os.chown(path, owner, owner, follow_symlinks=False)


@pytest.mark.parametrize("below", ["", "/state", "/state/of/it"])
def test_no_link_of_a_job_is_followed(place: Path, below: str) -> None:
    """A job's link is an error, whether it is the last name of the path or one before."""
    link(place / "job" / "x", place / "precious", JOB)
    with pytest.raises(OSError, match="a symbolic link of another user") as caught:
        files.open_directory(f"{place}/job/x{below}")
    assert caught.value.filename == f"{place}/job/x{below}"
    assert list((place / "precious").iterdir()) == []


def test_a_link_of_root_is_followed(place: Path) -> None:
    """Root's links are followed, as /var/run in every image: relative, or to another link too."""
    link(place / "one", "job/../two", 0)
    link(place / "two", place / "precious", 0)
    opened = files.open_directory(f"{place}/one/state")
    os.close(opened)
    assert stat.S_IMODE((place / "precious" / "state").stat().st_mode) == 0o755


def test_links_that_lead_nowhere(place: Path) -> None:
    """A loop of links ends in an error."""
    link(place / "one", "two", 0)
    link(place / "two", "one", 0)
    with pytest.raises(OSError, match="Too many levels"):
        files.open_directory(f"{place}/one/state")


def test_what_is_missing_is_made_where_that_is_wanted(place: Path) -> None:
    """Without `make` a missing directory is an error, and is not made."""
    with pytest.raises(FileNotFoundError):
        files.open_directory(f"{place}/none/state", make=False)
    assert not (place / "none").exists()
