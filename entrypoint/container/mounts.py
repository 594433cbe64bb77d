"""What is mounted where in this container (proc_pid_mountinfo(5))."""

from __future__ import annotations

import os
import re

_ESCAPED = re.compile(r"\\([0-7]{3})")  # how white space and backslashes are written there


def points() -> set[str]:
    """Return the paths at which something is mounted."""
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as mounts:
        written = [line.split(" ")[4] for line in mounts]
    return {_ESCAPED.sub(lambda code: chr(int(code[1], 8)), path) for path in written}


def touched_by(folder: str) -> bool:
    """Return whether something is mounted at a folder or anywhere below it."""
    real = os.path.realpath(folder)
    return any(f"{point}/".startswith(f"{real}/") for point in points())
