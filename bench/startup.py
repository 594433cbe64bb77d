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
MEMORY = {"Pss": "PSS", "Anonymous": "anonymous"}  # by their names in /proc/PID/smaps_rollup


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


def kinds(github: GitHub) -> dict[str, tuple[str, dict[str, str]]]:
    """Return the programs and settings of which starts are compared."""
    ours = "gh-runner"
    return {
        SCRIPT: (SCRIPT, {}),
        "plain": (ours, {}),
        "private authority": (ours, {"RUNNER_CA_FILE": str(github.authority)}),
        "proxy": (ours, {"HTTPS_PROXY": github.proxy}),
        "JIT": (ours, {"RUNNER_REGISTRATION": "jit"}),
        "until-job": (ours, {"RUNNER_CREDENTIAL": "until-job"}),
    }


def starts_of_kinds(github: GitHub) -> dict[str, list[float]]:
    """Return the milliseconds to the exec of the listener, of each kind of start in turns."""
    times: dict[str, list[float]] = {kind: [] for kind in kinds(github)}
    for number in range(ROUNDS + 1):
        for kind, (program, settings) in kinds(github).items():
            with life(github, program, **settings) as started:
                took = started.listens() * 1000
            if number:
                times[kind].append(took)
    return times


def idle(github: GitHub) -> tuple[dict[str, dict[str, list[float]]], dict[str, list[float]]]:
    """Return the memory (KiB) and the wake-ups of all but the runner itself, while idle."""
    sizes: dict[str, dict[str, list[float]]] = {name: {} for name in MEMORY}
    wake_ups = {}
    for program in PROGRAMS:
        with life(github, program) as started:
            started.listens()
            time.sleep(1)  # all are idle by then
            pids = started.overhead()
            before = sum(switches(pid) for pid in pids)
            time.sleep(IDLE)
            wake_ups[program] = [float(sum(switches(pid) for pid in pids) - before)]
            for name, found in sizes.items():
                found[program] = [float(sum(field(pid, "smaps_rollup", name) for pid in pids))]
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
        table("to the listener, kinds of starts", "ms", starts_of_kinds(github), SCRIPT)
        sizes, wake_ups = idle(github)
        for name, kind in MEMORY.items():
            table(f"memory beside the idle runner ({kind})", "KiB", sizes[name], SCRIPT)
        table(f"wake-ups in {IDLE:.0f} s", "times", wake_ups, SCRIPT)
