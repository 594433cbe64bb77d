"""Many lives, several at a time, and what came of them."""

import os
import queue
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from simulator import Simulator
from tests.chaos.live import PROJECT, Lateness, live
from tests.chaos.plan import Plan
from tests.chaos.story import Story
from tests.chaos.verdict import judge

LIVES_PER_CORE = 4  # mostly they sleep


@dataclass
class Result:
    """All stories, and the complaints about those that went wrong."""

    stories: list[Story] = field(default_factory=list)
    failed: list[tuple[Story, list[str]]] = field(default_factory=list)
    seconds: float = 0.0


def at_a_time() -> int:
    """How many lives to run at a time."""
    return LIVES_PER_CORE * (os.cpu_count() or 1)


def live_all(
    plans: Iterable[Plan],
    *,
    source: Path = PROJECT,
    slots: int = 0,
    tell: Callable[[Story, list[str]], None] = lambda _story, _complaints: None,
) -> Result:
    """Live all plans, each against a simulator that it has for itself meanwhile."""
    waiting: queue.SimpleQueue[Plan] = queue.SimpleQueue()
    for plan in plans:
        waiting.put(plan)
    result, began = Result(), time.monotonic()
    lateness = Lateness()
    lateness.start()
    crashes: list[BaseException] = []

    def slot(simulator: Simulator) -> None:
        try:
            while not crashes:
                story = live(waiting.get_nowait(), simulator, lateness, source)
                complaints = judge(story)
                result.stories.append(story)
                if complaints:
                    result.failed.append((story, complaints))
                tell(story, complaints)
        except queue.Empty:
            return
        except BaseException as error:  # noqa: BLE001 - raised again by whoever waits for us
            crashes.append(error)

    with ExitStack() as stack:
        count = min(slots or at_a_time(), waiting.qsize())
        simulators = [stack.enter_context(Simulator()) for _ in range(count)]
        threads = [threading.Thread(target=slot, args=(one,)) for one in simulators]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    if crashes:
        raise crashes[0]
    result.seconds = time.monotonic() - began
    return result


def summary(result: Result) -> str:
    """What a reader wants to know of all lives."""
    stories = result.stories
    stopped = [story for story in stories if story.stops]
    slowest = max(stopped, key=lambda story: story.stop_seconds, default=None)
    lines = [
        f"{len(stories)} lives in {result.seconds:.0f} s, {len(result.failed)} went wrong",
        _table("stops by phase", Counter(story.stops[0].phase for story in stopped)),
        _table("exit codes", Counter(str(story.code) for story in stories)),
        _table("jobs", Counter(_fate(story) for story in stories)),
    ]
    if slowest is not None:
        lines.append(
            f"slowest stop: {slowest.stop_seconds:.2f} s ({slowest.stops[0].phase},"
            f" SEED={slowest.plan.seed}); median {_median(stopped):.2f} s"
        )
    return "\n".join(lines)


def describe(story: Story, complaints: list[str]) -> str:
    """A life that went wrong: how to repeat it, what was planned, what was seen."""
    stops = [f"{s.signum} at {s.time - story.began:.3f} s ({s.phase})" for s in story.stops]
    seen = [
        f"{event['time'] - story.began:8.3f} {event['kind']}"
        f" {event.get('method', '')} {event.get('path', '')} {event.get('status', '')}"
        for event in story.events
    ]
    return "\n".join(
        [
            f"SEED={story.plan.seed} N=1 went wrong: {'; '.join(complaints)}",
            str(story.plan),
            f"exit code {story.code} after {story.ended - story.began:.3f} s; stops: {stops}",
            *seen,
            story.output,
        ]
    )


def _fate(story: Story) -> str:
    if story.job is None:
        return "none"
    return story.job["result"] or str(story.job["status"])


def _table(title: str, counts: Counter[str]) -> str:
    cells = (f"{name} {count}" for name, count in sorted(counts.items()))
    return f"{title}: {', '.join(cells)}"


def _median(stopped: list[Story]) -> float:
    return sorted(story.stop_seconds for story in stopped)[len(stopped) // 2]
