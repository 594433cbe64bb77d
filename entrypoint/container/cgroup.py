"""What the container's limits have done: the kernel's out-of-memory killer, the disk."""

from __future__ import annotations

import os

# cgroup v2, then v1; inside a container each shows its own group (cgroup_namespaces(7)).
_MEMORY_EVENTS = (
    "/sys/fs/cgroup/memory.events",
    "/sys/fs/cgroup/memory/memory.oom_control",
)


def oom_kills() -> int:
    """Return how many processes of this container the out-of-memory killer has killed so far."""
    for path in _MEMORY_EVENTS:
        try:
            with open(path, encoding="ascii") as file:
                return next(int(line.split()[1]) for line in file if line.startswith("oom_kill "))
        except (OSError, StopIteration):
            continue
    return 0


def free_disk(path: str) -> str:
    """Return the space that is left below a path, as in "12.3 GiB", or why that is not known."""
    try:
        found = os.statvfs(path)
    except OSError as error:  # a volume that has gone may be what the runner has died of
        return f"{path}: {error.strerror}"
    return f"{found.f_bavail * found.f_frsize / 2**30:.1f} GiB"
