"""Many lives, several at a time."""

import os
import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from simulator import Simulator
from tests.chaos.live import PROJECT, Lateness, live
from tests.chaos.plan import Plan
from tests.chaos.story import Story
from tests.chaos.verdict import judge

LIVES_PER_CORE = 4  # a life mostly sleeps
Teller = Callable[[Story, list[str]], None]


@dataclass
class Result:
    """All stories, and the complaints about lives that went wrong."""

    stories: list[Story] = field(default_factory=list)
    failed: list[tuple[Story, list[str]]] = field(default_factory=list)
    seconds: float = 0.0


@contextmanager
def started(count: int = 0) -> Iterator[list[Simulator]]:
    """Start simulators for so many lives at a time; 0: as many as suit this machine."""
    with ExitStack() as stack:
        wanted = count or LIVES_PER_CORE * (os.cpu_count() or 1)
        yield [stack.enter_context(Simulator()) for _ in range(wanted)]


def live_all(
    plans: Iterable[Plan],
    simulators: Sequence[Simulator],
    *,
    source: Path = PROJECT,
    first_failure_ends: bool = False,
    tell: Teller = lambda _story, _complaints: None,
) -> Result:
    """Live all plans, as many at a time as there are simulators: each life has its own."""
    crowd = _Crowd(plans, source, first_failure_ends, tell)
    began = time.monotonic()
    threads = [threading.Thread(target=crowd.slot, args=(one,)) for one in simulators]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if crowd.crashes:
        raise crowd.crashes[0]
    crowd.result.seconds = time.monotonic() - began
    return crowd.result


class _Crowd:
    """The plans that wait, and the stories of the others."""

    def __init__(
        self, plans: Iterable[Plan], source: Path, first_failure_ends: bool, tell: Teller
    ) -> None:
        self.result = Result()
        self.crashes: list[BaseException] = []
        self._waiting: queue.SimpleQueue[Plan] = queue.SimpleQueue()
        for plan in plans:
            self._waiting.put(plan)
        self._source = source
        self._first_failure_ends = first_failure_ends
        self._tell = tell
        self._lateness = Lateness()
        self._lateness.start()

    def slot(self, simulator: Simulator) -> None:
        """Live one plan after another."""
        try:
            while not self._is_over():
                self._live(self._waiting.get_nowait(), simulator)
        except queue.Empty:
            return
        except BaseException as error:  # noqa: BLE001 - `live_all` raises it again
            self.crashes.append(error)

    def _is_over(self) -> bool:
        return bool(self.crashes or (self._first_failure_ends and self.result.failed))

    def _live(self, plan: Plan, simulator: Simulator) -> None:
        story = live(plan, simulator, self._lateness, self._source)
        complaints = judge(story)
        self.result.stories.append(story)
        if complaints:
            self.result.failed.append((story, complaints))
        self._tell(story, complaints)
