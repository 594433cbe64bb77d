"""Many idle runners side by side, beside GitHub's two scripts alone, in one run.

Here each container is one of many, as on a host: processes share the memory of programs that all of
them have loaded. docs/fleet.md has what follows from that.
"""

from __future__ import annotations

import pwd
import resource
import time

from bench import memory
from bench.container import OURS, PROGRAMS, SCRIPTS
from bench.fleet import SIDE_BY_SIDE, START_SECONDS, listening, lives
from bench.report import header, table
from simulator import Simulator
from simulator.container import PROGRAM, USER

MEASURES = {
    "anonymous memory of PID 1": "KiB",
    "anonymous memory of a container": "KiB",
    "memory of a container (PSS)": "KiB",
    "from the first start to the last listener": "s",
}


def kinds() -> dict[str, tuple[list[str], dict[str, str]]]:
    """Return the programs that are compared, with their settings."""
    target = {"GITHUB_OWNER": "acme", "GITHUB_REPOSITORY": "shop"}
    group = {"RUNNER_GROUP_ID": str(pwd.getpwnam(USER).pw_gid)}
    return {
        SCRIPTS: (PROGRAMS[SCRIPTS], {**target, **group}),
        OURS: (PROGRAM, {}),
        "gh-runner, JIT": (PROGRAM, {"RUNNER_REGISTRATION": "jit"}),
    }


def measure(
    simulator: Simulator, number: int, program: list[str], settings: dict[str, str]
) -> dict[str, list[float]]:
    """Start so many containers; return what each of them holds, and the time until all listen."""
    with lives(simulator, program, **settings) as made:
        homes = made.prepare(number)
        if program != PROGRAM:
            made.settings["RUNNER_TOKEN"] = simulator.make_registration_token()
        begin = time.time()
        containers = [made.start(home) for home in homes]
        took = listening(simulator, number) - begin
        time.sleep(1)  # all of them are idle then
        firsts = [memory.sizes([container.pid_1]) for container in containers]
        totals = [memory.sizes([*container.inside()]) for container in containers]
        found = (
            [anonymous for anonymous, _ in firsts],
            [anonymous for anonymous, _ in totals],
            [shared for _, shared in totals],
            [took],
        )
        if program == PROGRAM:
            for container in containers:
                container.signal()
            for container in containers:
                container.wait(START_SECONDS)
            assert simulator.runners() == []
    return dict(zip(MEASURES, found, strict=True))


def run() -> None:
    """Print all tables."""
    # Each container has a log and a process of ours.
    resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
    header(f"{SIDE_BY_SIDE} containers side by side")
    with Simulator() as simulator:
        simulator.settings(points_per_minute=0, concurrent_requests=0)
        found = {
            kind: measure(simulator, SIDE_BY_SIDE, program, settings)
            for kind, (program, settings) in kinds().items()
        }
    for name, unit in MEASURES.items():
        results = {kind: measures[name] for kind, measures in found.items()}
        table(f"{name}, one of {SIDE_BY_SIDE}", unit, results, SCRIPTS)
