"""Run the package `entrypoint` of a directory, and note which processes PID 1 leaves behind.

Usage: python -I launch.py DIRECTORY FILE. The kernel kills what PID 1 leaves behind, and nothing of
that is seen from outside. So PID 1 itself takes the note, at its last moment.
"""

import os
import runpy
import sys
from pathlib import Path

ZOMBIE = "Z"


def alive() -> list[str]:
    """Return the other processes of this PID namespace by pid and name, without zombies."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        if entry.parent.name == str(os.getpid()):
            continue
        try:
            pid, _, rest = entry.read_text(errors="replace").partition(" (")
        except OSError:  # it has just ended
            continue
        name, _, state = rest.rpartition(") ")
        if not state.startswith(ZOMBIE):
            found.append(f"{pid} {name}")
    return found


def main() -> None:
    """Run the program; its own exec starts this file again, with the same arguments."""
    directory, note = sys.argv[1:]
    sys.path.insert(0, directory)
    sys.argv[1:] = []
    try:
        runpy.run_module("entrypoint", run_name="__main__", alter_sys=True)
    finally:
        if os.getpid() == 1:
            Path(note).write_text("\n".join(alive()))


if __name__ == "__main__":
    main()
