"""The promises of an act, and whether it kept them."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from demo.play import JOB_END, Act, Play
from demo.story import US

DOCKER_STOP = 10.0  # seconds between the SIGTERM and the SIGKILL of `docker stop`
MOST_CALLS = {"job": 1, "stop": 4}


class Promise(NamedTuple):
    """A promise, whether it was kept, and the figure that shows it."""

    text: str
    kept: bool
    detail: str


def check(
    act: Act, play: Play, code: int | None, requests: list[dict[str, Any]], left: int
) -> Iterator[Promise]:
    """Judge an act; `left` is the number of runners that GitHub still lists."""
    story = play.story
    yield Promise("exit code", code == act.exit_code, f"{code} ({story.meaning or 'unexplained'})")
    gone = play.env_file_was_gone
    yield Promise("env file", gone, "deleted" if gone else "NOT DELETED before the first request")
    if act.job:
        harmless = JOB_END in story.job_log
        told = "found nothing" if harmless else "FOUND ONE" if story.job_log else "never ran"
        yield Promise("the job's search for a credential", harmless, told)
        wanted = "failed" if act.stop else "succeeded"
        yield Promise(
            "the job's result",
            story.job_result == wanted,
            (story.job_result or "never reported") + (" (cancelled)" if act.stop else ""),
        )
    yield Promise("runners left on GitHub's list", left == 0, str(left))
    calls = sum(request["user_agent"] == US for request in requests)
    most = MOST_CALLS["stop" if act.stop else "job"]
    yield Promise("our calls to GitHub's REST API", 1 <= calls <= most, f"{calls} (at most {most})")
    if act.stop:
        seconds = story.marks["ended"] - story.marks.get("stopped", 0.0)
        yield Promise(
            "from the signal to the end",
            seconds < DOCKER_STOP,
            f"{seconds:.1f} s (docker stop kills after {DOCKER_STOP:.0f})",
        )
