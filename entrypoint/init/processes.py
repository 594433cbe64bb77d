"""Which processes are alive in this PID namespace, as /proc shows them (proc_pid_stat(5)).

This module imports only os, because `gh-runner exec` loads it too and must start fast.
"""

from __future__ import annotations

import os


class Process:
    """One process: its name, cut to 15 characters, and its state, a letter such as S or T."""

    __slots__ = ("comm", "parent", "pid", "state")

    def __init__(self, pid: int, parent: int, comm: str, state: str) -> None:
        """Take what /proc/PID/stat says."""
        self.pid = pid
        self.parent = parent
        self.comm = comm
        self.state = state


def snapshot() -> list[Process]:
    """Return all processes that /proc shows, without zombies."""
    found = (_read(int(name)) for name in os.listdir("/proc") if name.isdigit())
    return [process for process in found if process is not None]


def below(roots: set[int], alive: list[Process]) -> set[int]:
    """Return the descendants of some processes, without those processes themselves."""
    found: set[int] = set()
    generation = roots
    while generation := {p.pid for p in alive if p.parent in generation} - found:
        found |= generation
    return found - roots


def visible() -> list[Process]:
    """Return all processes; none if /proc is not mounted or shows another PID namespace."""
    try:
        return snapshot() if os.readlink("/proc/self") == str(os.getpid()) else []
    except OSError:
        return []


def descendants() -> set[int]:
    """Return this process's descendants; none if /proc does not show them."""
    return below({os.getpid()}, visible())


def _read(pid: int) -> Process | None:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            stat = file.read().decode(errors="replace")
    except OSError:  # it has just ended
        return None
    # The name is in parentheses, and may contain parentheses itself.
    comm = stat[stat.index("(") + 1 : stat.rindex(")")]
    state, parent = stat[stat.rindex(")") + 2 :].split(maxsplit=2)[:2]
    return None if state in "ZX" else Process(pid, int(parent), comm, state)
