"""A runner's start and its idle time, beside GitHub's two scripts alone, in one run.

GitHub is a simulator that answers at once over TLS, and the runner has no start-up times. What is
measured is the share of PID 1.
"""

from __future__ import annotations

import time
from typing import NamedTuple

from bench.container import OURS, SCRIPT, SCRIPTS, GitHub, field, life
from bench.container import github as open_github
from bench.report import header, table

ROUNDS = 15
ROUNDS_OF_MEMORY = 3
IDLE = 10.0  # seconds
Results = dict[str, list[float]]


class Kind(NamedTuple):
    """One kind of start: which program, how the credential comes, and further settings."""

    program: str
    way: str = "env file"
    settings: tuple[tuple[str, str], ...] = ()


def kinds(github: GitHub) -> dict[str, Kind]:
    """Return the kinds of starts that are compared."""

    def ours(way: str = "env file", **settings: str) -> Kind:
        return Kind(OURS, way, tuple(settings.items()))

    return {
        SCRIPTS: Kind(SCRIPTS),
        "start script below dumb-init": Kind(SCRIPT),
        "plain": ours(),
        "credential in the environment": ours("environment"),
        "credential in a *_FILE": ours("*_FILE"),
        "private authority": ours(RUNNER_CA_FILE=str(github.authority)),
        "proxy with a password": ours(HTTPS_PROXY=github.proxy),
        "until-job": ours(RUNNER_CREDENTIAL="until-job"),
        "JIT": ours(RUNNER_REGISTRATION="jit"),
    }


def starts(github: GitHub) -> Results:
    """Return the milliseconds from the exec of PID 1 to that of the listener, taken in turns."""
    times: Results = {name: [] for name in kinds(github)}
    for number in range(ROUNDS + 1):
        for name, kind in kinds(github).items():
            with life(github, kind.program, kind.way, **dict(kind.settings)) as started:
                took = started.listens() * 1000
            if number:  # the first round fills the caches
                times[name].append(took)
    return times


def memory(github: GitHub) -> dict[str, Results]:
    """Return what each kind of container holds while it is idle, in KiB, by measure and kind."""
    found: dict[str, Results] = {}
    for _ in range(ROUNDS_OF_MEMORY):
        for name, kind in kinds(github).items():
            with life(github, kind.program, kind.way, **dict(kind.settings)) as started:
                started.listens()
                time.sleep(1)  # it is idle by then
                for measure, size in started.memory().items():
                    found.setdefault(measure, {}).setdefault(name, []).append(size)
    return found


def wake_ups(github: GitHub) -> Results:
    """Return how often all but the runner itself wake up, while idle."""
    found = {}
    for program in (SCRIPT, OURS):
        with life(github, program) as started:
            started.listens()
            time.sleep(1)  # as above
            pids = started.overhead()
            before = sum(switches(pid) for pid in pids)
            time.sleep(IDLE)
            found[program] = [float(sum(switches(pid) for pid in pids) - before)]
    return found


def switches(pid: int) -> int:
    """Return how often a process has woken up so far."""
    return field(pid, "status", "voluntary_ctxt_switches")


def run() -> None:
    """Print all tables."""
    header("A runner's start and idleness")
    with open_github() as github:
        table("from the start to the listener", "ms", starts(github), SCRIPTS)
        for measure, results in memory(github).items():
            table(measure, "KiB", results, SCRIPTS)
        table(f"wake-ups in {IDLE:.0f} s", "times", wake_ups(github), SCRIPT)
