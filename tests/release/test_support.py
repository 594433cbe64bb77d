"""Which versions are supported, and which images are built again."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pytest

from release.registry import Repository
from release.support import supported
from release.versions import Version
from tests.release.command import succeeds
from tests.release.conftest import FIRST, Build
from tests.release.repository import GitRepository

DAYS = {
    "1.4.0": "2026-01-01",
    "1.5.0": "2026-02-01",
    "1.5.1": "2026-05-20",
    "2.0.0-rc.1": "2026-05-01",
    "2.0.0": "2026-06-01",
    "2.0.1": "2026-06-20",
    "2.1.0": "2026-07-01",
    "2.1.1": "2026-10-01",
}


@pytest.mark.parametrize(
    ("today", "versions"),
    [
        ("2026-01-15", ["1.4.0"]),
        ("2026-05-02", ["1.5.0", "1.4.0"]),
        ("2026-05-03", ["1.5.0"]),
        ("2026-06-01", ["2.0.0", "1.5.1"]),
        ("2026-07-02", ["2.1.0", "2.0.1", "1.5.1"]),
        ("2026-09-29", ["2.1.0", "2.0.1", "1.5.1"]),
        ("2026-09-30", ["2.1.0", "1.5.1"]),
        ("2026-11-28", ["2.1.1", "1.5.1"]),
        ("2026-11-29", ["2.1.1"]),
    ],
)
def test_supported(today: str, versions: list[str]) -> None:
    """Supported are the newest, the minor before it for 90 and the major before it for 180 days."""
    released = {
        Version.parse(text): date.fromisoformat(day) for text, day in DAYS.items() if day <= today
    }
    assert [str(v) for v in supported(released, date.fromisoformat(today))] == versions


def test_nothing_is_released() -> None:
    """Before the first release no version is supported."""
    assert supported({}, date(2026, 1, 1)) == []


def due(git: GitRepository, users: Repository, *options: str) -> list[dict[str, str]]:
    """Return the versions to rebuild, as the workflow gets them."""
    words = ["--to", users.name, "--now", "2026-11-28T05:00:00+00:00", *options]
    found: list[dict[str, str]] = json.loads(succeeds("support", *words, cwd=git.path))
    return found


@pytest.fixture
def git(tmp_path: Path) -> GitRepository:
    """A repository in which 1.2.3 and 1.3.0 have been released."""
    repository = GitRepository(tmp_path / "git")
    repository.release("v1.2.3", "2026-10-01")
    repository.release("v1.3.0", "2026-11-01")
    return repository


def publish(build: Build, users: Repository, version: str, *options: str, **about: object) -> None:
    """Publish a build."""
    build(version + "".join(options), **about)
    where = ["--from", f"{users.name}-build:{version}{''.join(options)}", "--to", users.name]
    succeeds("publish", version, *where, "--flavours", *FIRST, *options)


def labels(runner: str) -> dict[str, str]:
    """Return the labels of an image with this runner."""
    return {"gh-runner.runner.version": runner}


def test_a_newer_runner(git: GitRepository, users: Repository, build: Build) -> None:
    """Images whose last revision has an older runner are built again."""
    fresh = "2026-11-27T00:00:00Z"
    publish(build, users, "1.2.3", labels=labels("2.337.0"), created=fresh)
    publish(build, users, "1.3.0", labels=labels("2.337.0"), created=fresh)
    assert due(git, users, "--runner", "2.337.0") == []
    why = "runner 2.338.0 instead of 2.337.0"
    assert due(git, users, "--runner", "2.338.0") == [
        {"version": "1.3.0", "tag": "v1.3.0", "why": why},
        {"version": "1.2.3", "tag": "v1.2.3", "why": why},
    ]
    publish(build, users, "1.3.0", "--again", labels=labels("2.338.0"), created=fresh)
    assert [found["version"] for found in due(git, users, "--runner", "2.338.0")] == ["1.2.3"]
    assert len(due(git, users, "--all")) == 2


def test_a_week(git: GitRepository, users: Repository, build: Build) -> None:
    """Images that are a week old are built again, for the distribution's packages."""
    publish(build, users, "1.2.3", created="2026-11-21T12:00:00.123456789Z")
    publish(build, users, "1.3.0", created="2026-11-22T12:00:00Z")
    (found,) = due(git, users)
    assert (found["version"], found["why"]) == ("1.2.3", "built on 2026-11-21")


def test_a_release_that_is_still_to_come(git: GitRepository, users: Repository) -> None:
    """A tag without published images is left to the release workflow."""
    assert due(git, users, "--all") == []
