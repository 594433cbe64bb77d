"""Decides whether a tag may be released: the workflows must have succeeded for its commit.

Usage: python3 -m release.admit TAG COMMIT --repository OWNER/NAME

The tag is v1.2.3, as in pyproject.toml, and CHANGELOG.md has its notes. The commit is on the main
branch, or on that of its minor version (1.2). There the workflows "CI" and "Images" have succeeded
for exactly this commit. Needs git with all branches, and gh.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tomllib
from pathlib import Path
from typing import Any

from release import changelog
from release.errors import Refusal, run
from release.versions import Version

WORKFLOWS = ("ci.yml", "images.yml")


def main() -> None:
    """Read the command line; print everything that prevents the release."""
    parser = argparse.ArgumentParser(prog="python3 -m release.admit")
    parser.add_argument("tag")
    parser.add_argument("commit")
    parser.add_argument("--repository", required=True, help="OWNER/NAME on GitHub")
    options = parser.parse_args()
    version = Version.parse(options.tag)
    branches = ("main", f"{version.major}.{version.minor}")
    problems = [
        *wrong_name(options.tag, version),
        *wrong_place(options.commit, branches),
        *(
            problem
            for workflow in WORKFLOWS
            for problem in not_green(options.repository, workflow, options.commit, branches)
        ),
    ]
    if problems:
        raise Refusal("; ".join(problems))
    print(f"{options.tag} may be released")


def wrong_name(tag: str, version: Version) -> list[str]:
    """Return what does not agree with the tag."""
    problems = [] if tag == f"v{version}" else [f"the tag of {version} is v{version}, not {tag}"]
    project = tomllib.loads(Path("pyproject.toml").read_text())["project"]["version"]
    if project != str(version):
        problems.append(f"pyproject.toml has the version {project}")
    try:
        changelog.notes(changelog.CHANGELOG.read_text(), version)
    except Refusal as refusal:
        problems.append(str(refusal))
    return problems


def wrong_place(commit: str, branches: tuple[str, ...]) -> list[str]:
    """Return a problem if the commit is on none of the branches that may be released."""
    for branch in branches:
        command = ["git", "merge-base", "--is-ancestor", commit, f"origin/{branch}"]
        if subprocess.run(command, capture_output=True, check=False).returncode == 0:
            return []
    return [f"{commit} is neither on {' nor on '.join(branches)}"]


def not_green(repository: str, workflow: str, commit: str, branches: tuple[str, ...]) -> list[str]:
    """Return why a workflow has not succeeded for a commit; its last run counts."""
    query = f"repos/{repository}/actions/workflows/{workflow}/runs?head_sha={commit}&event=push"
    runs = [run for run in ask(query)["workflow_runs"] if run["head_branch"] in branches]
    if not runs:
        return [f"{workflow} has not run for {commit}"]
    last = max(runs, key=lambda run: int(run["run_number"]))
    if last["status"] != "completed":
        return [f"{workflow} is still running ({last['html_url']}); start this again afterwards"]
    if last["conclusion"] != "success":
        return [f"{workflow} ended with {last['conclusion']} ({last['html_url']})"]
    return []


def ask(path: str) -> dict[str, Any]:
    """Return an answer of GitHub's API; Refusal if there is none."""
    done = subprocess.run(["gh", "api", path], capture_output=True, text=True, check=False)
    if done.returncode:
        raise Refusal(f"GitHub does not tell {path}: {done.stderr.strip()}")
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


if __name__ == "__main__":
    run(main)
