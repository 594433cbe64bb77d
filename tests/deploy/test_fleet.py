"""What one more runner costs its engine: the figures of docs/fleet.md that need engines.

pytest -m exhaustive -rP tests/deploy/test_fleet.py     # prints them
"""

from __future__ import annotations

import sys

import pytest

from simulator import Simulator
from tests.deploy.conftest import each_of
from tests.deploy.guest import Guest
from tests.deploy.pools import Podman, Pool, Quadlet, Swarm, Systemd, listening

TOGETHER = "first guest"

pytestmark = [pytest.mark.exhaustive, each_of([Systemd, Podman, Quadlet, Swarm])]

RUNNERS = 8
MOST = 40.0  # MB for each runner; more would be a leak, or another engine than that of the page
# Memory of its own of each process of an engine: the client, what watches a container, the daemons.
MEMORY = r"""
import pathlib
total = 0
for process in pathlib.Path("/proc").glob("[0-9]*"):
    try:
        name = (process / "comm").read_text().strip()
        if name.startswith(("docker", "containerd", "podman", "conmon")):
            lines = (process / "smaps_rollup").read_text().splitlines()
            total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    except OSError:
        continue
print(total)
"""


def megabytes(guest: Guest) -> float:
    """Return the memory of all processes of engines."""
    return int(guest.run("python3", "-c", MEMORY)) * 1024 / 1e6


def test_memory_of_the_engine(pool: Pool, github: Simulator) -> None:
    """A runner that waits takes so much memory beside its own."""
    pool.start(1)
    last = listening(github, 1)
    before = megabytes(pool.guest)
    pool.start(1 + RUNNERS)
    listening(github, RUNNERS, last)
    each = (megabytes(pool.guest) - before) / RUNNERS
    sys.stdout.write(f"{type(pool).__name__}: the engine takes {each:.1f} MB for each runner\n")
    assert 0 < each < MOST
