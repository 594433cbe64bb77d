"""GitHub's secondary rate limits: how much one credential may ask for in a minute, and at once.

The numbers are those of "Rate limits for the REST API" in GitHub's documentation. An Enterprise
Server has no limits by default.
"""

import math
import time
from collections import Counter, defaultdict, deque
from collections.abc import Iterator
from contextlib import contextmanager

from simulator.hub import refusals
from simulator.hub.world import Settings

MINUTE = 60.0
READING = ("GET", "HEAD", "OPTIONS")


class Limits:
    """The requests of the last minute and those under way, for each credential."""

    def __init__(self) -> None:
        self._under_way: Counter[str] = Counter()
        self._spent: dict[str, deque[tuple[float, int]]] = defaultdict(deque)

    @contextmanager
    def admit(self, credential: str, method: str, settings: Settings) -> Iterator[None]:
        """Count a request while it is answered; Refusal (403) if it is one too many."""
        if 0 < settings.concurrent_requests <= self._under_way[credential]:
            raise refusals.secondary_rate_limited()
        self._spend(credential, 1 if method in READING else 5, settings.points_per_minute)
        self._under_way[credential] += 1
        try:
            yield
        finally:
            self._under_way[credential] -= 1

    def _spend(self, credential: str, points: int, limit: int) -> None:
        now, spent = time.monotonic(), self._spent[credential]
        while spent and now - spent[0][0] > MINUTE:
            spent.popleft()
        if limit and sum(cost for _, cost in spent) + points > limit:
            raise refusals.secondary_rate_limited(math.ceil(MINUTE - (now - spent[0][0])))
        spent.append((now, points))
