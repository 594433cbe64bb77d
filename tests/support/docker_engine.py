"""The Docker engine of this machine, for the tests that need a real one."""

from __future__ import annotations

import subprocess

import pytest

from simulator.client import PROJECT


def require() -> str:
    """Return the path of the docker command, with an engine that answers; skip without one."""
    found = subprocess.run(
        [PROJECT / "scripts/docker-engine"], capture_output=True, text=True, check=False
    )
    if found.returncode != 0:
        pytest.skip(found.stderr)
    return found.stdout.strip()
