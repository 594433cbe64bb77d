"""Who is alive: the processes of this PID namespace, as /proc shows them."""

from __future__ import annotations

import os
from typing import NamedTuple


class Process(NamedTuple):
    """One line of /proc: `comm` is the name, cut to 15 characters by the kernel."""

    pid: int
    parent: int
    comm: str


def snapshot() -> list[Process]:
    """Return all processes that can be seen, zombies left out."""
    found = (_read(int(name)) for name in os.listdir("/proc") if name.isdigit())
    return [process for process in found if process is not None]


def below(roots: set[int], alive: list[Process]) -> set[int]:
    """Return the descendants of some processes, those themselves left out."""
    found: set[int] = set()
    generation = roots
    while generation := {p.pid for p in alive if p.parent in generation} - found:
        found |= generation
    return found - roots


def _read(pid: int) -> Process | None:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            stat = file.read().decode(errors="replace")
    except OSError:  # it has just ended
        return None
    # The name stands in parentheses and may hold parentheses itself (proc(5)).
    comm = stat[stat.index("(") + 1 : stat.rindex(")")]
    state, parent = stat[stat.rindex(")") + 2 :].split()[:2]
    return None if state in "ZX" else Process(pid, int(parent), comm)
