"""The scripts for GitHub's release and for a fork's names, with a real git."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.release.command import ROOT, fake
from tests.release.repository import GitRepository


class Machine:
    """A workflow's machine: a checkout with this project's scripts, and a `gh` that records."""

    def __init__(self, directory: Path) -> None:
        self.git = GitRepository(directory / "git")
        self._calls, self._bin = directory / "calls", directory / "bin"
        for name in ("release", "scripts"):
            ignore = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / name, self.git.path / name, ignore=ignore)
        (self.git.path / "CHANGELOG.md").write_text(
            "".join(f"## [{version}]\n\n- Of {version}.\n\n" for version in ("1.2.3", "1.3.0-rc.1"))
        )
        (self.git.path / "README.md").write_text("docker run ghcr.io/OWNER/gh-runner\n")
        self.git.commit()
        self.has_release = False

    def run(self, script: str, **env: str) -> str:
        """Run a script as the workflow does, and return what it prints."""
        answer = 0 if self.has_release else 1
        body = f'[ "$2" = view ] && exit {answer}; printf "%s\\n" "$*" >>{self._calls}'
        done = subprocess.run(
            [self.git.path / "scripts" / script],
            env={
                **os.environ,
                "PATH": fake(self._bin, "gh", body),
                "GH_TOKEN": "ghs_secret",
                "GITHUB_REPOSITORY": "Acme/runners",
                "GITHUB_SERVER_URL": "https://github.example",
                **env,
            },
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    @property
    def calls(self) -> str:
        """All calls of gh that were recorded."""
        return self._calls.read_text() if self._calls.exists() else ""


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A machine on which 1.2.3 has just been published."""
    found = Machine(tmp_path)
    found.git.release("v1.2.3")
    return found


def test_a_release_is_made(machine: Machine) -> None:
    """The release has the notes of its version and is the latest; the action's tag moves."""
    machine.run("announce-release", VERSION="1.2.3")
    assert "release create v1.2.3 --repo Acme/runners --verify-tag --title 1.2.3" in machine.calls
    assert "- Of 1.2.3." in machine.calls
    assert "cosign verify ghcr.io/acme/runners:1.2.3" in machine.calls
    assert machine.calls.rstrip().endswith("--latest")
    assert machine.git.at_origin("v1") == machine.git.at_origin("v1.2.3")


def test_a_release_that_is_there(machine: Machine) -> None:
    """A second run makes no second release, and still moves the tag."""
    machine.has_release = True
    assert "the release v1.2.3 is there already" in machine.run("announce-release", VERSION="1.2.3")
    assert machine.calls == ""
    assert machine.git.at_origin("v1") == machine.git.at_origin("v1.2.3")


def test_a_fix_of_an_older_version_is_not_the_latest(machine: Machine) -> None:
    """A fix of an older version is not marked as the latest release."""
    machine.git.release("v1.3.0")
    machine.run("announce-release", VERSION="1.2.3")
    assert machine.calls.rstrip().endswith("--latest=false")


def test_a_candidate(machine: Machine) -> None:
    """A release candidate is marked as one, and does not move the action's tag."""
    machine.git.release("v1.3.0-rc.1")
    machine.run("announce-release", VERSION="1.3.0-rc.1")
    assert machine.calls.rstrip().endswith("--prerelease")


def test_a_fork_names_itself(machine: Machine) -> None:
    """In a fork a pull request puts the fork's names into its documents."""
    machine.run("propose-owner")
    text = machine.git("show", "origin/owner:README.md")
    assert text == "docker run ghcr.io/acme/runners"
    assert "pr create --repo Acme/runners --head owner --title Name Acme/runners" in machine.calls
    assert "README.md" in machine.calls
    assert "workflow run ci.yml" in machine.calls


def test_a_fork_that_is_named_already(machine: Machine) -> None:
    """If no document has the placeholder OWNER, there is no pull request."""
    (machine.git.path / "README.md").write_text("docker run ghcr.io/acme/runners\n")
    assert machine.run("propose-owner") == "nothing says OWNER\n"
    assert machine.calls == ""
