"""What the log costs while a runner waits for a job: lines for people, and JSON.

With JSON a child of PID 1 turns the lines of GitHub's programs into records. It sleeps while they
say nothing, so PID 1 and the child should wake as rarely as PID 1 does with plain lines.
"""

from __future__ import annotations

import time

from bench import memory
from bench.container import github as open_github
from bench.container import life
from bench.report import header, table
from bench.startup import IDLE, switches

PLAIN = "lines for people"
FORMS = {PLAIN: "console", "JSON": "json"}
ROUNDS = 3
SETTLED = 1.0  # seconds after the start of the listener; all processes sleep by then
WAKE_UPS = f"wake-ups in {IDLE:.0f} s"


def costs(form: str) -> dict[str, float]:
    """Return memory (KiB), processes and wake-ups of all but the runner's own processes."""
    with open_github() as github, life(github, "gh-runner", RUNNER_LOG_FORMAT=form) as started:
        started.listens()
        time.sleep(SETTLED)
        pids = started.overhead()
        anonymous, shared = memory.sizes(pids)
        found = {"memory, anonymous, KiB": float(anonymous), "memory, PSS, KiB": float(shared)}
        before = sum(switches(pid) for pid in pids)
        time.sleep(IDLE)
        wake_ups = float(sum(switches(pid) for pid in pids) - before)
        return {**found, "processes": float(len(pids)), WAKE_UPS: wake_ups}


def run() -> None:
    """Print a table for each cost."""
    header("An idle runner's log")
    found = {name: [costs(form) for _ in range(ROUNDS)] for name, form in FORMS.items()}
    for cost in found[PLAIN][0]:
        results = {name: [round_[cost] for round_ in rounds] for name, rounds in found.items()}
        table(f"{cost.rpartition(', ')[0] or cost}", _unit(cost), results, PLAIN)


def _unit(cost: str) -> str:
    return cost.rpartition(", ")[2] if ", " in cost else "number"
