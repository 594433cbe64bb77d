"""`gh-runner status`: what the runner of this container is doing, for HEALTHCHECK.

The runner is healthy while it registers, waits, works or stops, and not once the listener is gone.
With --state only the state file counts. That is for a virtual machine that shares the directory:
its processes cannot be seen from outside.
"""

from __future__ import annotations

import contextlib
import getopt
import json
import os
from collections.abc import Sequence
from typing import Any

import psutil

from entrypoint import redaction
from entrypoint.container import state
from entrypoint.runner.listener import LISTENER, WORKER
from entrypoint.settings.schema import in_environment

_USUAL_PHASES = (state.REGISTERING, state.STOPPING)
_USAGE = b"""\
usage: gh-runner status [--json] [--state DIR]

Tell whether the runner in this container is healthy (exit code 0) or not (1).

  --json       tell it as one JSON object
  --state DIR  judge by DIR/state.json alone: of a runner in a virtual machine, for example
"""
_RUNNING = {"run.sh", LISTENER, WORKER}
_SHOWN = {LISTENER: "listener", WORKER: "worker", "dockerd": "engine", "podman": "engine"}


def main(argv: Sequence[str]) -> int:
    """Print a line or a JSON object; return 0 if healthy, 1 if not, 78 for a wrong command line."""
    if list(argv) in (["--help"], ["-h"]):
        os.write(1, _USAGE)
        return 0
    try:
        pairs, rest = getopt.getopt(list(argv), "", ["json", "state="])
    except getopt.GetoptError as error:
        return _misused(error.msg)
    options = dict(pairs)
    if rest or len(options) < len(pairs):
        return _misused(f"{rest[0]!r} is no option" if rest else "an option is given twice")
    if "--state" in options:
        found = look_from_outside(options["--state"])
    else:
        found = look(in_environment("RUNNER_STATE_DIR"))
    line = json.dumps(found) if "--json" in options else describe(found)
    # A job may have written the state file, and may have put a secret into it.
    os.write(1, f"{redaction.redact(line)}\n".encode(errors="backslashreplace"))
    return 0 if found["healthy"] else 1


def _misused(why: str) -> int:
    line = f"gh-runner status: {redaction.redact(why)}; --help lists the options\n"
    os.write(2, line.encode(errors="backslashreplace"))
    return 78


def look_from_outside(directory: str) -> dict[str, Any]:
    """Return the state file's facts, with `activity` and `healthy` concluded from them alone."""
    facts = state.read(directory)
    phase = facts.get("phase", "unknown")
    healthy = phase in (*_USUAL_PHASES, state.LISTENING) and "stuck" not in facts
    return {**facts, "activity": phase, "healthy": healthy}


def look(directory: str) -> dict[str, Any]:
    """Return the state file's facts, with `activity` and `healthy` concluded from the processes."""
    facts = state.read(directory)
    phase = facts.get("phase", "unknown")
    alive = list(psutil.process_iter(["name", "status"]))
    names = {p.info["name"] for p in alive if p.info["status"] != psutil.STATUS_ZOMBIE}
    if not facts and names & _RUNNING:
        # There is no state file: the root is read-only, or the user may not write there.
        activity, healthy = ("busy" if WORKER in names else "idle"), True
    elif phase != state.LISTENING:
        activity, healthy = phase, phase in _USUAL_PHASES
    elif names & _RUNNING:
        activity, healthy = ("busy" if WORKER in names else "idle"), "stuck" not in facts
    else:
        activity, healthy = "listener gone", False
    return {**facts, "activity": activity, "healthy": healthy, "processes": _usage(alive)}


def _usage(alive: list[psutil.Process]) -> dict[str, dict[str, float]]:
    """Return memory (bytes) and processor time (seconds) of PID 1, listener, worker and engine."""
    found: dict[str, dict[str, float]] = {}
    for process in alive:
        name = "PID 1" if process.pid == 1 else _SHOWN.get(process.info["name"], "")
        if not name:
            continue
        with contextlib.suppress(psutil.Error):  # it has just ended, or this user may not read it
            times = process.cpu_times()
            found[name] = {
                "memory_bytes": process.memory_info().rss,
                "cpu_seconds": round(times.user + times.system, 2),
            }
    return found


def describe(found: dict[str, Any]) -> str:
    """Return the line for people."""
    health = "healthy" if found["healthy"] else "not healthy"
    named = f" {found['name']}" if "name" in found else ""
    since = f" since {found['since']}" if "since" in found else ""
    stuck = f", stuck since {found['stuck_since']}: {found['stuck']}" if "stuck" in found else ""
    line = f"{health}:{named} {found['activity']}{since}{stuck}"
    for name, used in found.get("processes", {}).items():
        line += f"; {name} {used['memory_bytes'] / 2**20:.0f} MiB, {used['cpu_seconds']:g} s of CPU"
    # A job may have written the state file, and a terminal would obey its control characters.
    return "".join(c if c.isprintable() else "?" for c in line)
