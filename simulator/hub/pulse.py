"""Two things to wait for: a pulse, and the log of events."""

import asyncio
import time
from typing import Any


class Pulse:
    """A beat that wakes everything that waits for it."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def beat(self) -> None:
        """Wake all that wait now."""
        self._event.set()
        self._event = asyncio.Event()

    async def wait(self, seconds: float) -> None:
        """Wait for the next beat, but not longer than `seconds`."""
        event = self._event
        try:
            async with asyncio.timeout(seconds):
                await event.wait()
        except TimeoutError:
            return


class EventLog:
    """All events in their order; their ids only grow."""

    def __init__(self, after: int = 0) -> None:
        """Begin with the id that follows `after`."""
        self._events: list[dict[str, Any]] = []
        self._next = after + 1
        self._pulse = Pulse()

    def add(self, kind: str, **data: Any) -> int:
        """Add an event and return its id."""
        event = {"id": self._next, "kind": kind, "time": time.time(), **data}
        self._events.append(event)
        self._next += 1
        self._pulse.beat()
        return self._next - 1

    @property
    def last(self) -> int:
        """The id of the latest event; 0 before the first."""
        return self._next - 1

    def after(self, event_id: int) -> list[dict[str, Any]]:
        """Return the events with a later id."""
        first = self._next - len(self._events)
        return self._events[max(0, event_id + 1 - first) :]

    async def wait_after(self, event_id: int, seconds: float) -> list[dict[str, Any]]:
        """Return the events with a later id; if there is none, wait `seconds` for one."""
        deadline = time.monotonic() + seconds
        while not self.after(event_id) and time.monotonic() < deadline:
            await self._pulse.wait(deadline - time.monotonic())
        return self.after(event_id)
