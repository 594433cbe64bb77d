"""The few uses of git that releases need."""

from __future__ import annotations

import subprocess

from release.errors import Refusal
from release.versions import Version, parse_all


def git(*words: str) -> str:
    """Run git and return its output; raise a Refusal with its message if it fails."""
    done = subprocess.run(["git", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise Refusal(f"git {words[0]}: {done.stderr.strip()}")
    return done.stdout


def newest(major: int | None = None) -> Version | None:
    """Return the newest release with a tag, of one major version or of all; None without one."""
    releases = [
        version
        for version in parse_all(git("tag", "--list", "v*").split())
        if version.candidate is None and major in {None, version.major}
    ]
    return max(releases, default=None)
