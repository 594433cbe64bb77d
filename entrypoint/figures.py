"""What a life costs at GitHub: requests, further tries, and how many requests are left.

Requests are made by children of PID 1. They write one letter for each into a memory file that all
of them share, and PID 1 adds the letters up at the end.
"""

from __future__ import annotations

import os

from entrypoint.init.child import memory_file

_shared: list[int] = []


def share() -> None:
    """Begin to count, in this process and in all that it forks from now on."""
    _shared[:] = [memory_file("figures")]


def request(*, again: bool = False) -> None:
    """Count a request, or a further try of one."""
    _write(b"a" if again else b"r")


def limit(left: str) -> None:
    """Keep what GitHub says is left of the rate limit (x-ratelimit-remaining)."""
    if left.isascii() and left.isdigit():
        _write(b"\n%s\n" % left.encode())


def _write(words: bytes) -> None:
    # A descriptor that was open before a fork has one offset for all: writes do not overlap.
    if _shared:
        os.write(_shared[0], words)


def totals() -> tuple[int, int, int | None]:
    """Return requests, further tries, and what is left of the limit (None if nobody said)."""
    if not _shared:
        return 0, 0, None
    written = os.pread(_shared[0], os.fstat(_shared[0]).st_size, 0)
    limits = [int(word) for word in written.split(b"\n") if word.isdigit()]
    return written.count(b"r"), written.count(b"a"), limits[-1] if limits else None
