"""`gh-runner status [--json]`: what the runner of this container is doing, for HEALTHCHECK.

Healthy while it registers, waits or works; not healthy once the listener is gone.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from typing import Any

import psutil

from entrypoint.container import state
from entrypoint.runner.program import LISTENER, WORKER
from entrypoint.settings.schema import in_environment

_HEALTHY_PHASES = {state.REGISTERING, state.STOPPING}
_USAGE = b"""\
usage: gh-runner status [--json]

Tell whether the runner in this container is healthy (exit code 0) or not (1).
"""
_RUNNING = {"run.sh", LISTENER, WORKER}


def main(argv: Sequence[str]) -> int:
    """Print one line, or with --json one object; return 0 if healthy, 1 if not, 78 if misused."""
    if list(argv) in (["--help"], ["-h"]):
        os.write(1, _USAGE)
        return 0
    if list(argv) not in ([], ["--json"]):
        os.write(2, b"gh-runner status: takes no argument but --json\n")
        return 78
    found = look(in_environment("RUNNER_STATE_DIR"))
    line = json.dumps(found) if argv else describe(found)
    os.write(1, f"{line}\n".encode())
    return 0 if found["healthy"] else 1


def look(directory: str) -> dict[str, Any]:
    """Return the state file's facts, with `activity` and `healthy` as the processes show them."""
    facts = state.read(directory)
    phase = facts.get("phase", "unknown")
    alive = (p.info for p in psutil.process_iter(["name", "status"]))
    names = {info["name"] for info in alive if info["status"] != psutil.STATUS_ZOMBIE}
    if phase != state.LISTENING:
        activity, healthy = phase, phase in _HEALTHY_PHASES
    elif names & _RUNNING:
        activity, healthy = ("busy" if WORKER in names else "idle"), True
    else:
        activity, healthy = "listener gone", False
    return {**facts, "activity": activity, "healthy": healthy}


def describe(found: dict[str, Any]) -> str:
    """Return the one line for people."""
    health = "healthy" if found["healthy"] else "not healthy"
    named = f" {found['name']}" if "name" in found else ""
    since = f" since {found['since']}" if "since" in found else ""
    return f"{health}:{named} {found['activity']}{since}"
