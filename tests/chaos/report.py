"""Reports: on all lives together, and on one that went wrong."""

from collections import Counter

from tests.chaos.crowd import Result
from tests.chaos.story import Story


def summary(result: Result) -> str:
    """Return the stops by phase, the exit codes, the fate of the jobs, the slowest stop."""
    stories = result.stories
    stopped = sorted((s for s in stories if s.stops), key=lambda story: story.stop_seconds)
    lines = [
        f"{len(stories)} lives in {result.seconds:.0f} s, {len(result.failed)} went wrong",
        _table("stops by phase", Counter(story.stops[0].phase for story in stopped)),
        _table("exit codes", Counter(str(story.code) for story in stories)),
        _table("jobs", Counter(_fate(story) for story in stories)),
    ]
    if stopped:
        slowest, median = stopped[-1], stopped[len(stopped) // 2]
        lines.append(
            f"stops: median {median.stop_seconds:.2f} s, slowest {slowest.stop_seconds:.2f} s"
            f" of {slowest.time_allowed:.2f} s allowed"
            f" ({slowest.stops[0].phase}, SEED={slowest.plan.seed})"
        )
    return "\n".join(lines)


def describe(story: Story, complaints: list[str]) -> str:
    """Return how to repeat a life, its plan, and what was seen of it."""
    stops = [f"{s.signum} at {s.time - story.began:.3f} s ({s.phase})" for s in story.stops]
    seen = [
        f"{event['time'] - story.began:8.3f} {event['kind']}"
        f" {event.get('method', '')} {event.get('path', '')} {event.get('status', '')}".rstrip()
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
