"""A git repository for a test: a clone, and the `origin` that it came from."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

_WHO = {
    "GIT_AUTHOR_NAME": "A",
    "GIT_AUTHOR_EMAIL": "a@example.com",
    "GIT_COMMITTER_NAME": "A",
    "GIT_COMMITTER_EMAIL": "a@example.com",
    "GIT_CONFIG_GLOBAL": os.devnull,
}


class GitRepository:
    """A clone, whose main branch has one commit."""

    def __init__(self, directory: Path) -> None:
        self.origin, self.path = directory / "origin.git", directory / "clone"
        origin, path = os.fspath(self.origin), os.fspath(self.path)
        directory.mkdir(exist_ok=True)
        for command in (
            ["git", "init", "--quiet", "--bare", "--initial-branch=main", origin],
            ["git", "clone", "--quiet", origin, path],
        ):
            subprocess.run(command, check=True, capture_output=True, env={**os.environ, **_WHO})
        self.commit()
        self("push", "--quiet", "origin", "HEAD:main")

    def __call__(self, *words: str, **env: str) -> str:
        """Run git in the clone, and return what it prints."""
        done = subprocess.run(
            ["git", *words],
            cwd=self.path,
            env={**os.environ, **_WHO, **env},
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.strip()

    def commit(self) -> str:
        """Commit all files, or an empty commit, and return the commit's id."""
        self("add", "--all")
        self("commit", "--quiet", "--allow-empty", "--message", "Change")
        return self("rev-parse", "HEAD")

    def release(self, tag: str, day: str = "2026-11-01") -> str:
        """Commit and tag on a day; return the commit's id."""
        commit = self.commit()
        time = f"{day}T12:00:00Z"
        self("tag", "--annotate", "--message", tag, tag, GIT_COMMITTER_DATE=time)
        self("push", "--quiet", "origin", tag)
        return commit

    def at_origin(self, name: str) -> str:
        """Return the commit of a branch or tag of the origin."""
        command = ["git", "-C", str(self.origin), "rev-parse", f"{name}^{{commit}}"]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        return done.stdout.strip()
