"""The stop of a runner, beside a start script below dumb-init, in one run.

GitHub is a simulator that answers at once over TLS. The script kills its listener and does not wait
for it. It does not look whether GitHub has removed the runner.
"""

from __future__ import annotations

from bench.container import OURS, SCRIPT, Container, GitHub, life
from bench.container import github as open_github
from bench.report import header, table

ROUNDS = 15
WAYS = ("env file", "App key")


def idle(github: GitHub) -> dict[str, list[float]]:
    """Return the milliseconds from a TERM to the end of a container whose runner is idle."""
    times: dict[str, list[float]] = {name: [] for name in (SCRIPT, OURS)}
    for _ in range(ROUNDS):
        for program, found in times.items():
            with life(github, program) as started:
                started.listens()
                found.append(started.stop() * 1000)
    return times


def own_share(github: GitHub) -> dict[str, list[float]]:
    """Return the milliseconds of such a stop that neither config.sh nor GitHub takes."""
    times: dict[str, list[float]] = {way: [] for way in WAYS}
    for _ in range(ROUNDS):
        for way, found in times.items():
            with life(github, OURS, way) as started:
                started.listens()
                found.append(_own_share(github, started) * 1000)
    return times


def _own_share(github: GitHub, started: Container) -> float:
    before = len(github.simulator.requests())
    took = started.stop()
    requests = github.simulator.requests()[before:]
    ours = (r["seconds"] or 0 for r in requests if r["user_agent"].startswith("gh-runner"))
    return took - started.configuring() - sum(ours)


def hanging(github: GitHub) -> dict[str, list[float]]:
    """Return the milliseconds of a stop while GitHub does not answer the first request."""
    times: dict[str, list[float]] = {OURS: []}
    for _ in range(ROUNDS):
        for program, found in times.items():
            with life(github, program) as started:
                github.simulator.fault(path="/registration-token", hang=True)
                github.simulator.wait_for("request")
                found.append(started.stop() * 1000)
    return times


def run() -> None:
    """Print all tables."""
    header("A runner's stop")
    with open_github() as github:
        table("from TERM to the end, idle", "ms", idle(github), SCRIPT)
        table("without config.sh and GitHub", "ms", own_share(github), WAYS[0])
        table("to the end while GitHub hangs", "ms", hanging(github), SCRIPT)
