"""The weekly workflow reports failures, and proposes newer packages."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

SCRIPTS = Path(__file__).parents[2] / "scripts"
# Writes down each call, one word a line. A list comes from a file, through jq as with gh.
GH = """\
#!/bin/sh
printf '%s\\n' "$@" -- >>"$0.calls"
[ "$2" != list ] || for last; do :; done
[ "$2" != list ] || exec jq --raw-output "$last" "$0.list"
"""
# What `make lock UPGRADE=1` does to the lock files of these tests.
MAKE = """\
#!/bin/sh
[ "$*" = "lock UPGRADE=1" ] || exit 99
cp ../newer/*.lock . 2>/dev/null || true
"""
RUN = "https://github.example/acme/shop/actions/runs/7"


class Machine:
    """A workflow's machine: a gh and a make that record, and a checkout with its origin."""

    def __init__(self, directory: Path) -> None:
        self.origin = directory / "origin"
        self.checkout = directory / "checkout"
        self._bin = directory / "bin"
        (self.checkout / "scripts").mkdir(parents=True)
        self._bin.mkdir()
        for name, text in (("gh", GH), ("make", MAKE)):
            (self._bin / name).write_text(text)
            (self._bin / name).chmod(0o755)
        self.list_is([])

    def list_is(self, items: list[dict[str, Any]]) -> None:
        """Make GitHub's list of open issues and pull requests this one."""
        (self._bin / "gh.list").write_text(json.dumps(items))

    def run(self, script: str, *args: str) -> str:
        """Run a script of the project on this machine, and return what it prints."""
        for name in (script, "git-with-token", "propose-change"):
            shutil.copy(SCRIPTS / name, self.checkout / "scripts")
        return subprocess.check_output(
            [self.checkout / "scripts" / script, *args],
            cwd=self.checkout,
            env={
                "PATH": f"{self._bin}:{os.environ['PATH']}",
                "HOME": os.devnull,
                "GH_TOKEN": "ghs_secret",
                "GITHUB_REPOSITORY": "acme/shop",
                "GITHUB_SERVER_URL": "https://github.example",
                "GITHUB_RUN_ID": "7",
            },
            text=True,
        )

    def git(self, *args: str, directory: Path | None = None) -> str:
        """Run git in the checkout, or in another repository, and return what it prints."""
        identity = ["-c", "user.name=n", "-c", "user.email=e"]
        return subprocess.check_output(
            ["git", "-C", directory or self.checkout, *identity, *args], text=True
        ).strip()

    def publish(self) -> None:
        """Commit and push everything in the checkout."""
        self.git("init", "--quiet", "--initial-branch", "main")
        subprocess.run(["git", "init", "--quiet", "--bare", self.origin], check=True)
        self.git("remote", "add", "origin", str(self.origin))
        self.git("add", ".")
        self.git("commit", "--quiet", "--message", "first")
        self.git("push", "--quiet", "origin", "main")

    @property
    def calls(self) -> list[str]:
        """The calls of gh that change something."""
        path = self._bin / "gh.calls"
        calls = path.read_text().split("\n--\n") if path.exists() else []
        words = (call.split("\n") for call in calls if call)
        return [" ".join(call) for call in words if call[1] != "list"]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A machine where GitHub's list of open issues is empty."""
    return Machine(tmp_path)


def test_a_failure_opens_an_issue(machine: Machine) -> None:
    """The issue has a link to the run that failed."""
    machine.run("report-failure", "It fails")
    assert machine.calls == [
        f"issue create --repo acme/shop --title It fails --body What failed: {RUN}"
    ]


def test_a_second_failure_opens_no_second_issue(machine: Machine) -> None:
    """If an issue of this title is open, it gets a comment; one whose title is alike does not."""
    machine.list_is([{"number": 3, "title": "It fails often"}, {"number": 5, "title": "It fails"}])
    machine.run("report-failure", "It fails")
    assert machine.calls == [f"issue comment 5 --repo acme/shop --body Again: {RUN}"]


@pytest.fixture
def locked(machine: Machine) -> Machine:
    """A machine whose checkout has a lock file; `make lock` finds newer packages there."""
    newer = machine.checkout.parent / "newer"
    newer.mkdir()
    (machine.checkout / "requirements.lock").write_text("alpha==1.0 \\\nbeta==1.0 \\\ngone==1 \\\n")
    (newer / "requirements.lock").write_text("alpha==1.0 \\\nbeta==2.0 ; python \\\nnew==3 \\\n")
    machine.publish()
    return machine


def branches(machine: Machine) -> list[str]:
    """Return the branches of the origin other than main."""
    names = machine.git("branch", "--format=%(refname:short)", directory=machine.origin).split()
    return [name for name in names if name != "main"]


def test_newer_packages_are_proposed(locked: Machine) -> None:
    """The script pushes a branch, opens a pull request that lists the changes, and starts CI."""
    locked.run("propose-locks")
    (branch,) = branches(locked)
    assert "beta==2.0" in locked.git("show", f"{branch}:requirements.lock", directory=locked.origin)
    create, run = locked.calls
    assert create.startswith(f"pr create --repo acme/shop --head {branch} --title ")
    assert "| beta | 1.0 | 2.0 | | gone | 1 | - | | new | - | 3 |" in create
    assert "alpha" not in create
    assert run == f"workflow run ci.yml --repo acme/shop --ref {branch}"
    assert "ghs_secret" not in (locked.checkout / ".git/config").read_text() + create


def test_a_proposal_that_is_open_is_left_alone(locked: Machine) -> None:
    """The script leaves an open pull request as it is: a person may be working on it."""
    locked.list_is([{"headRefName": "locks-2026-01-03", "url": "https://github.example/pull/9"}])
    assert "pull/9 is open still" in locked.run("propose-locks")
    assert (branches(locked), locked.calls) == ([], [])


def test_nothing_newer_is_nothing_to_propose(locked: Machine) -> None:
    """If the lock files are up to date, there is no pull request."""
    shutil.rmtree(locked.checkout.parent / "newer")
    assert "nothing newer" in locked.run("propose-locks")
    assert (branches(locked), locked.calls) == ([], [])
