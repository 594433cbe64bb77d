"""The notes of a release, and the names of the repository's owner in documents."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from release.owner import PLACEHOLDER, filled_in
from release.signature import identity, verify_command
from tests.release.command import ROOT, refuses, succeeds
from tests.release.repository import GitRepository

CHANGELOG = """# Changelog

## [Unreleased]

- Later.

## [1.2.3] - 2026-11-27

### Added

- `docker run ghcr.io/OWNER/gh-runner:1`.

## [1.2.2]

## [1.2.1] - 2026-10-01

- Earlier.
"""
WHERE = ["--repository", "Acme/runners", "--image", "ghcr.io/acme/runners"]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A directory with a changelog."""
    (tmp_path / "CHANGELOG.md").write_text(CHANGELOG)
    return tmp_path


def test_notes(project: Path) -> None:
    """The notes are those of the version, with the owner's names and the command to verify."""
    said = succeeds("changelog", "v1.2.3", *WHERE, cwd=project)
    assert said.startswith("### Added\n\n- `docker run ghcr.io/acme/runners:1`.\n")
    assert "Later" not in said
    assert "Earlier" not in said
    assert "cosign verify ghcr.io/acme/runners:1.2.3" in said
    assert r"github\.com/Acme/runners/\.github/workflows/publish\.yml@" in said


def test_the_documents_verify_in_the_same_way() -> None:
    """The documented command checks the same identity as publishing does."""
    text = (ROOT / "docs/images.md").read_text()
    *_, issuer, by = verify_command("", "OWNER/gh-runner")
    for option in (issuer, by.replace("=", "='", 1) + "'", "--new-bundle-format=false"):
        assert option in text
    assert f"subjectRegExp: {identity('OWNER/gh-runner')}\n" in text


@pytest.mark.parametrize("ref", ["heads/main", "tags/v1.2.3", "tags/v1.3.0-rc.1"])
def test_who_signs(ref: str) -> None:
    """A signature is valid from a release's tag or from main, and from nothing else."""
    workflow = "https://github.com/acme/runners/.github/workflows/publish.yml"
    assert re.search(identity("acme/runners"), f"{workflow}@refs/{ref}")
    for stranger in (
        f"{workflow}@refs/heads/try",
        f"{workflow}@refs/tags/v1",
        f"{workflow}@refs/pull/1/merge",
        f"{workflow.replace('acme', 'evil')}@refs/{ref}",
        f"{workflow.replace('publish', 'other')}@refs/{ref}",
        f"https://evil.example/{workflow}@refs/{ref}",
    ):
        assert not re.search(identity("acme/runners"), stranger)


@pytest.mark.parametrize("version", ["1.2.2", "1.2.4"])
def test_no_notes(project: Path, version: str) -> None:
    """A version without notes is refused."""
    said = refuses("changelog", version, *WHERE, cwd=project)
    assert said == f"CHANGELOG.md has nothing under '## [{version}]'"


@pytest.mark.parametrize(
    ("text", "becomes"),
    [
        ("docker run ghcr.io/OWNER/gh-runner:1", "docker run ghcr.io/acme/runners:1"),
        ("image: ghcr.io/OWNER/gh-runner@sha256:0", "image: ghcr.io/acme/runners@sha256:0"),
        ("ghcr.io/OWNER/gh-runner-base:1", "ghcr.io/acme/runners-base:1"),
        ("uses: OWNER/gh-runner@v1", "uses: Acme/runners@v1"),
        (
            "git clone https://github.com/OWNER/gh-runner",
            "git clone https://github.com/Acme/runners",
        ),
        ("identity github.com/OWNER/gh-runner/.github", "identity github.com/Acme/runners/.github"),
        (r"^https://github\.com/OWNER/gh-runner/", r"^https://github\.com/Acme/runners/"),
        ("GITHUB_OWNER=acme", "GITHUB_OWNER=acme"),
        ("https://github.com/OWNER/REPOSITORY", "https://github.com/OWNER/REPOSITORY"),
        ("example.com/OWNER/gh-runner", "example.com/OWNER/gh-runner"),
    ],
)
def test_owner(text: str, becomes: str) -> None:
    """Image names are in lower case; the repository's name and other words stay."""
    assert filled_in(text, "Acme/runners") == becomes


@pytest.mark.parametrize("name", ["acme", "acme/", "a b/c", "acme/x/y", "../x/y"])
def test_no_repository(name: str) -> None:
    """A text that is no repository is refused, and no file is changed."""
    assert "no repository such as acme/gh-runner" in refuses("owner", name)


def test_files_are_changed(tmp_path: Path) -> None:
    """All documents and examples in git get the owner's name, and their paths are printed."""
    git = GitRepository(tmp_path)
    for name in ("README.md", "deploy/unit.container", "tests/README.md", ".github/workflow.yml"):
        (git.path / name).parent.mkdir(exist_ok=True)
        (git.path / name).write_text("image: ghcr.io/OWNER/gh-runner:1\n")
    (git.path / "docs.md").write_text("nothing to fill in\n")
    git.commit()
    said = succeeds("owner", "acme/runners", cwd=git.path)
    assert said.splitlines() == ["README.md", "deploy/unit.container"]
    assert (git.path / "README.md").read_text() == "image: ghcr.io/acme/runners:1\n"
    assert succeeds("owner", "acme/runners", cwd=git.path) == ""


def test_everybody_writes_it_in_one_way() -> None:
    """No document has a placeholder that the workflow would not replace."""
    pattern = "ghcr[.]io/[A-Za-z0-9_.<>/-]+"
    command = ["git", "grep", "-hoIE", pattern, "--", ".", ":!tests"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    upper = {name for name in done.stdout.split() if any(letter.isupper() for letter in name)}
    assert [name for name in upper if not PLACEHOLDER.match(name)] == []
