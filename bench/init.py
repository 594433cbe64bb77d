"""PID 1 of one command: `gh-runner exec` beside dumb-init and tini, all in one run."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from bench.report import header, percentile, table
from simulator.container import NAMESPACE, PROGRAM, Container, children, field, state

PYTHON = [sys.executable, "-I", "-S"]
OURS = "gh-runner exec"
INITS = {
    "tini": ["tini", "--"],
    "dumb-init": ["dumb-init", "--"],
    OURS: [*PROGRAM, "exec", "--"],
}
VICTIMS = Path(__file__).parent / "victims"

STARTS = 40
EARLY_SIGNALS = 100
EARLY = 0.050  # seconds
SIGNALS = 1000
ORPHANS = 2000
ROUNDS = 5
IDLE = 5.0  # seconds


class Namespace(Container):
    """An init as PID 1 with its command."""

    def __init__(self, init: list[str], command: list[str]) -> None:
        """Start it."""
        super().__init__([*init, *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.pid = self.pid_1

    def line(self) -> bytes:
        """Await the next line of the command's output."""
        assert self.process.stdout is not None
        return self.process.stdout.readline()

    def end_input(self) -> None:
        """Close the command's stdin."""
        assert self.process.stdin is not None
        self.process.stdin.close()

    def has_ended(self, within: float) -> bool:
        """Return whether it ends within so many seconds."""
        try:
            self.wait(within)
        except subprocess.TimeoutExpired:
            return False
        return True


@contextlib.contextmanager
def namespace(init: list[str], command: list[str]) -> Iterator[Namespace]:
    """Start an init, and end it afterwards."""
    started = Namespace(init, command)
    try:
        yield started
    finally:
        started.end()


def start_up() -> dict[str, list[float]]:
    """Return the milliseconds of a container that runs `true`, its namespace included."""
    commands = {name: [*init, "true"] for name, init in INITS.items()}
    commands |= {"no init": ["true"], "python -I -S -c pass": [*PYTHON, "-c", "pass"]}
    times: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(STARTS):
        for name, command in commands.items():
            began = time.monotonic()
            subprocess.run([*NAMESPACE, *command], check=True)
            times[name].append((time.monotonic() - began) * 1000)
    return times


def lost_signals() -> dict[str, list[float]]:
    """Return how many of the TERMs in the first 50 ms of a container have no effect."""
    lost = dict.fromkeys(INITS, 0)
    for number in range(EARLY_SIGNALS):
        for name, init in INITS.items():
            with namespace(init, ["sleep", "60"]) as started:
                moment = started.began + EARLY * number / EARLY_SIGNALS
                time.sleep(max(0.0, moment - time.monotonic()))
                os.kill(started.pid, signal.SIGTERM)
                lost[name] += not started.has_ended(within=0.3)
    return {name: [count] for name, count in lost.items()}


def latency() -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """Return the microseconds from a signal at PID 1 to its command.

    The command is the same Python program for all. The results are the median and the 99th
    percentile of each round.
    """
    command = [*PYTHON, str(VICTIMS / "clock.py")]
    medians: dict[str, list[float]] = {name: [] for name in INITS}
    slowest: dict[str, list[float]] = {name: [] for name in INITS}
    with contextlib.ExitStack() as stack:
        running = {n: stack.enter_context(namespace(i, command)) for n, i in INITS.items()}
        for started in running.values():
            started.line()
            _latencies(started)  # the first signals fill the caches
        for _ in range(ROUNDS):
            for name, started in running.items():
                times = _latencies(started)
                medians[name].append(percentile(times, 50))
                slowest[name].append(percentile(times, 99))
    return medians, slowest


def _latencies(started: Namespace) -> list[float]:
    times = []
    for _ in range(SIGNALS):
        sent = time.monotonic_ns()
        os.kill(started.pid, signal.SIGUSR1)
        times.append((int(started.line()) - sent) / 1000)
    return times


def orphans() -> dict[str, list[float]]:
    """Return how many orphans an init reaps in a second; all have ended while it was stopped."""
    rates: dict[str, list[float]] = {name: [] for name in INITS}
    for _ in range(ROUNDS):
        for name, init in INITS.items():
            with namespace(init, [*PYTHON, str(VICTIMS / "orphans.py"), str(ORPHANS)]) as started:
                started.line()
                rates[name].append(ORPHANS / _reaping_time(started))
    return rates


def _reaping_time(started: Namespace) -> float:
    """Return the seconds from SIGCONT for the init to the end of the last zombie."""
    os.kill(started.pid, signal.SIGSTOP)
    command, *zombies = children(started.pid)
    started.end_input()
    while any(state(pid) != "Z" for pid in zombies):
        time.sleep(0.01)
    began = time.monotonic()
    os.kill(started.pid, signal.SIGCONT)
    for pid in reversed(zombies):
        with contextlib.suppress(ProcessLookupError):
            while True:
                os.kill(pid, 0)
    took = time.monotonic() - began
    assert children(started.pid) == [command]
    return took


def idle() -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """Return the memory (proportional set size, KiB) and the wake-ups of each idle init."""
    with contextlib.ExitStack() as stack:
        running = {
            name: stack.enter_context(namespace(init, ["sleep", "600"]))
            for name, init in INITS.items()
        }
        time.sleep(1)  # all are idle by then
        before = {name: _switches(started.pid) for name, started in running.items()}
        time.sleep(IDLE)
        wake_ups = {n: [float(_switches(s.pid) - before[n])] for n, s in running.items()}
        sizes = {n: [float(_field(s.pid, "smaps_rollup", "Pss"))] for n, s in running.items()}
    return sizes, wake_ups


def _switches(pid: int) -> int:
    return _field(pid, "status", "voluntary_ctxt_switches")


def _field(pid: int, file: str, name: str) -> int:
    return int(field(pid, f"{name}:", file).split()[0])


def run() -> None:
    """Print all tables."""
    header("PID 1 of one command")
    table("start-up of a container with `true`", "ms", start_up())
    table(f"lost, TERM in the first {EARLY * 1000:.0f} ms", f"of {EARLY_SIGNALS}", lost_signals())
    medians, slowest = latency()
    table(f"signal to command, median of {SIGNALS}", "us", medians)
    table(f"signal to command, p99 of {SIGNALS}", "us", slowest)
    table(f"reaping of {ORPHANS} orphans", "per s", orphans())
    sizes, wake_ups = idle()
    table("memory while idle (PSS)", "KiB", sizes)
    table(f"wake-ups in {IDLE:.0f} s while idle", "times", wake_ups)
