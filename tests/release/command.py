"""Runs commands of `release`, as a workflow does."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

ROOT = Path(__file__).parents[2]
NOTHING: Mapping[str, str] = MappingProxyType({})


def attempt(
    command: str, *words: str, cwd: Path = ROOT, env: Mapping[str, str] = NOTHING
) -> subprocess.CompletedProcess[str]:
    """Run it; `env` is added to the usual environment."""
    return subprocess.run(
        [sys.executable, "-m", f"release.{command}", *words],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT), **env},
        capture_output=True,
        text=True,
        check=False,
    )


def succeeds(command: str, *words: str, cwd: Path = ROOT, env: Mapping[str, str] = NOTHING) -> str:
    """Run it and return what it prints."""
    done = attempt(command, *words, cwd=cwd, env=env)
    assert done.returncode == 0, done.stderr
    return done.stdout


def refuses(command: str, *words: str, cwd: Path = ROOT, env: Mapping[str, str] = NOTHING) -> str:
    """Run it, and return the one line with which it fails."""
    done = attempt(command, *words, cwd=cwd, env=env)
    assert done.returncode == 1, done.stdout + done.stderr
    (line,) = done.stderr.splitlines()
    return line.removeprefix(f"{command}: ")


def fake(directory: Path, program: str, body: str) -> str:
    """Put a shell script in the place of a program; return a PATH that finds it first."""
    directory.mkdir(exist_ok=True)
    path = directory / program
    path.write_text(f"#!/bin/bash\n{body}\n")
    path.chmod(0o755)
    return f"{directory}:{os.environ['PATH']}"
