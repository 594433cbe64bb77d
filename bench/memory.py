"""The memory of a container: of its PID 1, of all its processes, and of its control group."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from simulator.container import field

_GROUPS = Path("/sys/fs/cgroup")
# Puts itself into the control group $0, and executes the other arguments.
_ENTER = 'echo $$ >"$0/cgroup.procs" && exec "$@"'


class Group(NamedTuple):
    """A control group for one container, by cgroups(7): version 2, or version 1's `memory`."""

    path: Path
    name: str  # of the line in memory.stat that counts anonymous memory

    @property
    def command(self) -> list[str]:
        """The command that runs another one in the group."""
        return ["sh", "-c", _ENTER, str(self.path)]

    def anonymous(self) -> float:
        """Return the anonymous memory of all that is in the group, in KiB."""
        lines = (line.split() for line in (self.path / "memory.stat").read_text().splitlines())
        return next(int(value) for name, value in lines if name == self.name) / 1024


@contextmanager
def group() -> Iterator[Group | None]:
    """Make a control group; None where there are none, or where this process may make none."""
    name = f"gh-runner-bench-{uuid.uuid4().hex[:8]}"
    for root, line in ((_GROUPS / "memory", "rss"), (_GROUPS, "anon")):
        made = Group(root / name, line)
        try:
            made.path.mkdir()
        except OSError:
            continue
        try:
            if (made.path / "memory.stat").exists():
                yield made
                return
        finally:
            _remove(made.path)
    yield None


def _remove(path: Path) -> None:
    with suppress(OSError):  # a process in it may still be about to end
        path.rmdir()


def sizes(pids: Sequence[int]) -> tuple[float, float]:
    """Return anonymous memory and proportional set size of some processes together, in KiB."""
    found = [_sizes(pid) for pid in pids]
    return sum(anonymous for anonymous, _ in found), sum(shared for _, shared in found)


def _sizes(pid: int) -> tuple[int, int]:
    names = ("Anonymous:", "Pss:")
    anonymous, shared = (field(pid, name, "smaps_rollup").split() for name in names)
    if not (anonymous and shared):  # it has just ended
        return 0, 0
    return int(anonymous[0]), int(shared[0])
