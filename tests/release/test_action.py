"""The moving tag `v1`, which users of the action name, on a real git."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.release.command import refuses, succeeds
from tests.release.repository import GitRepository


@pytest.fixture
def git(tmp_path: Path) -> GitRepository:
    """A repository in which 1.2.3 has been released."""
    repository = GitRepository(tmp_path)
    repository.release("v1.2.3")
    return repository


def move(git: GitRepository, version: str) -> str:
    """Move the tag for a release, as the workflow does."""
    return succeeds("action", version, cwd=git.path)


def test_the_first_release_makes_it(git: GitRepository) -> None:
    """After the first release `uses: OWNER/gh-runner@v1` is 1.2.3."""
    assert move(git, "v1.2.3") == "v1 is v1.2.3\n"
    assert git.at_origin("v1") == git.at_origin("v1.2.3")


def test_it_moves_on(git: GitRepository) -> None:
    """The next release of the major version moves v1, and keeps the versions' own tags."""
    first = git.at_origin("v1.2.3")
    move(git, "1.2.3")
    second = git.release("v1.3.0")
    move(git, "1.3.0")
    assert git.at_origin("v1") == second
    assert git.at_origin("v1.2.3") == first


def test_a_fix_of_an_older_minor_does_not_move_it(git: GitRepository) -> None:
    """A fix of an older minor version leaves v1 at the newer one."""
    newest = git.release("v1.3.0")
    move(git, "1.3.0")
    git.release("v1.2.4")
    assert move(git, "1.2.4") == "v1 stays at v1.3.0\n"
    assert git.at_origin("v1") == newest


def test_majors_are_apart(git: GitRepository) -> None:
    """2.0.0 makes v2, and v1 stays."""
    move(git, "1.2.3")
    git.release("v2.0.0")
    move(git, "2.0.0")
    assert git.at_origin("v2") == git.at_origin("v2.0.0")
    assert git.at_origin("v1") == git.at_origin("v1.2.3")


def test_a_candidate_does_not_move_it(git: GitRepository) -> None:
    """A release candidate does not move v1."""
    git.release("v1.3.0-rc.1")
    assert move(git, "1.3.0-rc.1") == "v1 stays at v1.2.3\n"


def test_no_leave_to_push(git: GitRepository) -> None:
    """If the push is refused, the error has git's message."""
    git("remote", "set-url", "origin", "/nowhere")
    assert refuses("action", "1.2.3", cwd=git.path).startswith("git push: ")
