"""Counts the requests to GitHub in a runner's life, and keeps how many the rate limit leaves.

Children of PID 1 make the requests. They write one letter for each into a memory file that they
share, and PID 1 counts the letters at the end.
"""

from __future__ import annotations

import os

from entrypoint.init.child import memory_file

_shared: list[int] = []


def share() -> None:
    """Begin to count, in this process and in all its children that are forked from now on."""
    _shared[:] = [memory_file("api usage")]


def count_request(*, again: bool = False) -> None:
    """Count a request, or with `again` a further try of one."""
    _write(b"a" if again else b"r")


def note_limit(left: str) -> None:
    """Keep the number of requests that the rate limit leaves (x-ratelimit-remaining)."""
    if left.isascii() and left.isdigit():
        _write(b"\n%s\n" % left.encode())


def _write(words: bytes) -> None:
    # The processes share one file offset, because the descriptor was open before the forks. So
    # their writes do not overlap (fork(2)).
    if _shared:
        os.write(_shared[0], words)


def totals() -> tuple[int, int, int | None]:
    """Return requests, further tries, and what the rate limit leaves (None if it is not known)."""
    if not _shared:
        return 0, 0, None
    written = os.pread(_shared[0], os.fstat(_shared[0]).st_size, 0)
    limits = [int(word) for word in written.split(b"\n") if word.isdigit()]
    return written.count(b"r"), written.count(b"a"), limits[-1] if limits else None
