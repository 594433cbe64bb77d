"""Whether a tag may be released: git and files are real, a fake `gh` answers for GitHub."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.release.command import attempt, fake
from tests.release.repository import GitRepository

REPOSITORY = "acme/gh-runner"


@dataclass
class Candidate:
    """A commit to release, and GitHub's answers about its workflow runs."""

    git: GitRepository
    commit: str
    directory: Path

    def ran(self, workflow: str, *runs: dict[str, Any]) -> None:
        """Set GitHub's answer about a workflow's runs for this commit."""
        usual = {"status": "completed", "conclusion": "success", "head_branch": "main"}
        answer = [
            {**usual, "run_number": n, "html_url": f"https://github.com/run/{n}", **changes}
            for n, changes in enumerate(runs)
        ]
        (self.directory / workflow).write_text(json.dumps({"workflow_runs": answer}))

    def admitted(self, tag: str = "v1.2.3", commit: str = "") -> str:
        """Return why the release is refused; "" if it is admitted."""
        path = fake(
            self.directory,
            "gh",
            f"""
            echo "$2" >>{self.directory}/asked
            [[ $2 =~ /workflows/([a-z.]+)/runs ]] && cat {self.directory}/"${{BASH_REMATCH[1]}}"
            """,
        )
        words = [tag, commit or self.commit, "--repository", REPOSITORY]
        done = attempt("admit", *words, cwd=self.git.path, env={"PATH": path})
        assert (done.returncode == 0) == (done.stderr == ""), done.stderr
        assert done.returncode in {0, 1}
        return done.stderr.strip().removeprefix("admit: ")


@pytest.fixture
def candidate(tmp_path: Path) -> Candidate:
    """A commit on main with all that 1.2.3 needs, whose workflow runs have succeeded."""
    git = GitRepository(tmp_path / "git")
    (git.path / "pyproject.toml").write_text('[project]\nname = "x"\nversion = "1.2.3"\n')
    (git.path / "CHANGELOG.md").write_text(
        "# Changelog\n\n## [Unreleased]\n\n## [1.2.3] - 2026-11-27\n\n- Something.\n"
    )
    commit = git.commit()
    git("push", "--quiet", "origin", "HEAD:main")
    (tmp_path / "bin").mkdir()
    found = Candidate(git, commit, tmp_path / "bin")
    found.ran("ci.yml", {})
    found.ran("images.yml", {})
    return found


def test_a_green_commit_on_main(candidate: Candidate) -> None:
    """It is admitted, after GitHub was asked for the runs of exactly this commit."""
    assert candidate.admitted() == ""
    asked = (candidate.directory / "asked").read_text().splitlines()
    assert len(asked) == 2
    assert all(f"head_sha={candidate.commit}&event=push" in path for path in asked)
    assert all(path.startswith(f"repos/{REPOSITORY}/actions/workflows/") for path in asked)


@pytest.mark.parametrize("workflow", ["ci.yml", "images.yml"])
@pytest.mark.parametrize("conclusion", ["failure", "cancelled", "timed_out", None])
def test_a_run_that_has_failed(candidate: Candidate, workflow: str, conclusion: str) -> None:
    """A commit with a failed run is refused, and the run is named."""
    candidate.ran(workflow, {"conclusion": conclusion})
    assert f"{workflow} ended with {conclusion} (https://github.com/run/0)" in candidate.admitted()


def test_a_run_that_has_not_ended(candidate: Candidate) -> None:
    """A commit with a run that has not ended is refused."""
    candidate.ran("ci.yml", {"status": "in_progress", "conclusion": None})
    assert "ci.yml is still running" in candidate.admitted()


def test_no_run(candidate: Candidate) -> None:
    """A commit without a run is refused."""
    candidate.ran("images.yml")
    assert f"images.yml has not run for {candidate.commit}" in candidate.admitted()


def test_the_last_run_counts(candidate: Candidate) -> None:
    """The run with the highest number counts, in whatever order GitHub lists them."""
    candidate.ran("ci.yml", {"conclusion": "failure", "run_number": 9}, {"run_number": 8})
    assert "ci.yml ended with failure" in candidate.admitted()


def test_a_run_on_another_branch(candidate: Candidate) -> None:
    """A run on another branch does not count: more people can push there."""
    candidate.ran("ci.yml", {"head_branch": "try"})
    assert "ci.yml has not run" in candidate.admitted()


def test_a_commit_that_is_not_on_main(candidate: Candidate) -> None:
    """A commit is refused unless it is on main, or on the branch of its minor version."""
    commit = candidate.git.commit()
    assert f"{commit} is neither on main nor on 1.2" in candidate.admitted(commit=commit)
    candidate.git("push", "--quiet", "origin", "HEAD:1.2")
    assert candidate.admitted(commit=commit) == ""


def test_all_that_is_wrong_is_named_at_once(candidate: Candidate) -> None:
    """The error names everything that is wrong with version, notes and runs."""
    candidate.ran("ci.yml", {"conclusion": "failure"})
    said = candidate.admitted("v1.3.0")
    assert "pyproject.toml has the version 1.2.3" in said
    assert "CHANGELOG.md has nothing under '## [1.3.0]'" in said
    assert "ci.yml ended with failure" in said


@pytest.mark.parametrize("tag", ["1.2.3", "v1.2", "v1", "nightly", "v1.2.3-r2"])
def test_a_tag_of_another_form(candidate: Candidate, tag: str) -> None:
    """Only a tag such as v1.2.3, or its release candidate, is a release."""
    assert candidate.admitted(tag) != ""


def test_github_does_not_answer(candidate: Candidate) -> None:
    """If GitHub does not answer, the release is refused."""
    (candidate.directory / "ci.yml").unlink()
    assert candidate.admitted().startswith("GitHub does not tell repos/acme/gh-runner/")
