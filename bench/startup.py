"""A runner's start and its idle time, beside a start script below dumb-init, in one run.

GitHub is a simulator that answers at once over TLS, and the runner has no start-up times. What is
measured is the share of PID 1.
"""

from __future__ import annotations

import time

from bench.container import PROGRAMS, SCRIPT, GitHub, field, life
from bench.container import github as open_github
from bench.report import header, table

ROUNDS = 15
IDLE = 10.0  # seconds
WAYS = ("env file", "environment", "*_FILE")


def starts(github: GitHub, way: str) -> dict[str, list[float]]:
    """Return the milliseconds from the exec of PID 1 to the exec of the listener."""
    times: dict[str, list[float]] = {name: [] for name in PROGRAMS}
    for number in range(ROUNDS + 1):
        for program, found in times.items():
            with life(github, program, way) as started:
                took = started.listens() * 1000
            if number:  # the first round fills the caches
                found.append(took)
    return times


def idle(github: GitHub) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """Return the memory (PSS, KiB) and the wake-ups of all but the runner itself, while idle."""
    sizes, wake_ups = {}, {}
    for program in PROGRAMS:
        with life(github, program) as started:
            started.listens()
            time.sleep(1)  # all are idle by then
            pids = started.overhead()
            before = sum(switches(pid) for pid in pids)
            time.sleep(IDLE)
            wake_ups[program] = [float(sum(switches(pid) for pid in pids) - before)]
            sizes[program] = [float(sum(field(pid, "smaps_rollup", "Pss") for pid in pids))]
    return sizes, wake_ups


def switches(pid: int) -> int:
    """Return how often a process has woken up so far."""
    return field(pid, "status", "voluntary_ctxt_switches")


def run() -> None:
    """Print all tables."""
    header("A runner's start and idleness")
    with open_github() as github:
        for way in WAYS:
            results = starts(github, way)
            table(f"to the listener, credential: {way}", "ms", results, SCRIPT)
        sizes, wake_ups = idle(github)
        table("memory beside the idle runner (PSS)", "KiB", sizes, SCRIPT)
        table(f"wake-ups in {IDLE:.0f} s", "times", wake_ups, SCRIPT)
