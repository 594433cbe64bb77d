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


def processor_seconds(pid: int) -> float | None:
    """Return a process's own processor time, without its children's; None if it has ended."""
    found = _stat(pid)
    if found is None:
        return None
    user, system = found[1][11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def _stat(pid: int) -> tuple[str, list[str]] | None:
    """Return the name in /proc/PID/stat and the fields after it; None if the process has ended."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            stat = file.read().decode(errors="replace")
    except OSError:
        return None
    # The name is in parentheses, and may contain parentheses itself.
    return stat[stat.index("(") + 1 : stat.rindex(")")], stat[stat.rindex(")") + 2 :].split()


def _read(pid: int) -> Process | None:
    found = _stat(pid)
    if found is None:
        return None
    comm, (state, parent, *_) = found
    return None if state in "ZX" else Process(pid, int(parent), comm, state)
