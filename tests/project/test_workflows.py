"""The workflows, as far as they can be tested without GitHub."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.release.command import ROOT, fake
from tests.release.repository import GitRepository

WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
ACT = Path(sys.executable).parent / "act"


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_actions_are_pinned(workflow: Path) -> None:
    """Each action of others is named by its commit, with the version in a comment."""
    for uses in re.findall(r"uses: +(\S.*)", workflow.read_text()):
        if not uses.startswith("$/"):
            assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", uses), uses


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_no_job_gets_more_than_it_says(workflow: Path) -> None:
    """Each job lists its permissions; the whole workflow has read access at most."""
    pattern = r"^permissions:((?: \{\})?(?:\n  .+)*)"
    (permissions,) = re.findall(pattern, workflow.read_text(), re.MULTILINE)
    assert permissions.split() in (["{}"], ["contents:", "read"])


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_whoever_asks_for_the_newest_runner_has_a_token(workflow: Path) -> None:
    """A step that asks GitHub for the newest runner has a token: GitHub limits each address."""
    asks = re.compile(r"make( \S+)* image\b|build-image|push-build|choose_runner")
    for job in yaml.safe_load(workflow.read_text())["jobs"].values():
        for step in job.get("steps", []):
            if asks.search(step.get("run", "")):
                assert "GH_TOKEN" in {**job.get("env", {}), **step.get("env", {})}


@pytest.fixture
def released(tmp_path: Path) -> GitRepository:
    """A checkout with this project's workflows, where 1.2.3 has just been tagged."""
    git = GitRepository(tmp_path / "git")
    for name in (".github", "release", "scripts"):
        shutil.copytree(ROOT / name, git.path / name)
    for path in (git.path / ".github/workflows").iterdir():
        # act does not know the newer form of a path within the repository.
        path.write_text(path.read_text().replace("uses: $/", "uses: ./"))
    (git.path / "pyproject.toml").write_text('[project]\nname = "x"\nversion = "1.2.3"\n')
    (git.path / "CHANGELOG.md").write_text("## [1.2.3]\n\n- Something.\n")
    git.release("v1.2.3")
    git("push", "--quiet", "origin", "HEAD:main")
    return git


def act(git: GitRepository, directory: Path, conclusion: str, *words: str) -> tuple[int, str]:
    """Run the workflow "Release" for the tag; `conclusion` is how each run for the commit ended."""
    runs = {
        "workflow_runs": [
            {
                "run_number": 1,
                "status": "completed",
                "conclusion": conclusion,
                "head_branch": "main",
                "html_url": "https://github.com/run/1",
            }
        ]
    }
    (directory / "runs.json").write_text(json.dumps(runs))
    (directory / "event.json").write_text('{"ref": "refs/tags/v1.2.3"}')
    path = fake(directory / "bin", "gh", f"cat {directory}/runs.json")
    done = subprocess.run(
        [
            *(ACT, "push", "--workflows", ".github/workflows/release.yml"),
            *("--platform", "ubuntu-24.04=-self-hosted", "--eventpath", directory / "event.json"),
            *("--env", "GITHUB_REPOSITORY=acme/runners", "--secret", "GITHUB_TOKEN=ghs_secret"),
            *words,
        ],
        cwd=git.path,
        # None of the machine's own settings, and a cache of its own.
        env={**os.environ, "PATH": path, "HOME": str(directory), "XDG_CACHE_HOME": str(directory)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout


def test_a_green_commit_is_admitted(released: GitRepository, tmp_path: Path) -> None:
    """The workflow's first job passes for a tag whose commit is green."""
    code, said = act(released, tmp_path, "success", "--job", "admit")
    assert code == 0, said
    assert "v1.2.3 may be released" in said


def test_a_failed_ci_publishes_nothing(released: GitRepository, tmp_path: Path) -> None:
    """If CI has failed, no further job of the workflow begins."""
    code, said = act(released, tmp_path, "failure")
    assert code != 0
    assert "ci.yml ended with failure (https://github.com/run/1)" in said, said
    begun = set(re.findall(r"^\[([^\]]+?) *\] .*Run Set up job", said, re.MULTILINE))
    assert begun == {"Release/May it be released?"}
