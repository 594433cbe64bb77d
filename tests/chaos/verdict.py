"""Judge a life: each promise is a function that tells what is wrong with the life."""

import re
from collections.abc import Callable, Iterator

from tests.chaos.faults import LEFT, RUNNER_FAILED
from tests.chaos.jobs import CLEANED, SHAPES
from tests.chaos.story import Event, Story

RUNNER_TOKEN = re.compile(r"\bA[A-Z2-7]{28}\b")  # a registration or remove token
PROMISES: list[Callable[[Story], Iterator[str]]] = []


def promise(check: Callable[[Story], Iterator[str]]) -> Callable[[Story], Iterator[str]]:
    """Register a check."""
    PROMISES.append(check)
    return check


def judge(story: Story) -> list[str]:
    """Return everything that is wrong with a life."""
    return [complaint for check in PROMISES for complaint in check(story)]


@promise
def exits_in_time(story: Story) -> Iterator[str]:
    """After a stop the container is gone within RUNNER_STOP_TIMEOUT and the drain."""
    if story.code is None:
        yield "it did not exit"
    elif story.stop_seconds > story.time_allowed + story.late:
        yield f"the stop took {story.stop_seconds:.2f} s of {story.time_allowed:.2f} s allowed"


@promise
def nothing_stays_registered(story: Story) -> Iterator[str]:
    """GitHub's list is empty, unless GitHub was gone and the exit code says so."""
    if story.runners and not (_cannot_be_helped(story) or story.plan.jit_given):
        yield f"still registered: {[runner['name'] for runner in story.runners]}"


@promise
def a_given_registration_is_left_alone(story: Story) -> Iterator[str]:
    """Only the program that made a JIT configuration removes its runner."""
    if story.plan.jit_given:
        if story.first("request", "/remove-token$"):
            yield "a remove-token was asked for a given registration"
        if any(event.get("method") == "DELETE" for event in story.events if _is_rest(event)):
            yield "a given registration was deleted"


@promise
def every_job_is_told(story: Story) -> Iterator[str]:
    """No job hangs at GitHub: it has a result, or it waits for another runner."""
    job = story.job
    helpless = _cannot_be_helped(story) or _job_died_at_birth(story)
    helpless = helpless or (story.plan.jit_given and (_job_came_unseen(story) or story.plan.hangs))
    if job and job["status"] == "in_progress" and not helpless:
        yield f"the job {job['name']!r} is in progress"


@promise
def a_drained_job_goes_on(story: Story) -> Iterator[str]:
    """Within the drain a job is left alone, unless a second stop comes."""
    job, drain = story.job, story.plan.seconds("RUNNER_DRAIN_TIMEOUT", 0)
    if story.plan.kills or not (drain and story.stops and job and job["result"] == "failed"):
        return
    drained = story.stops[0].time + drain
    if len(story.stops) > 1:
        drained = min(drained, story.stops[1].time)
    if job["completed"] < drained:
        yield f"the job was cancelled {drained - job['completed']:.2f} s before the drain's end"


@promise
def a_job_is_only_cancelled_by_a_stop(story: Story) -> Iterator[str]:
    """Without a stop a job comes to its own end."""
    job = story.job
    if job and job["result"] == "failed" and not (story.plan.kills or story.plan.hangs):
        if not story.stops or job["completed"] < story.stops[0].time:
            yield "the job failed before the stop"
        elif SHAPES[job["name"]].ends and _code_of_a_job(story):
            yield "the job was cancelled, and the exit code is 0"


@promise
def a_step_may_clean_up(story: Story) -> Iterator[str]:
    """A step has RUNNER_CANCEL_TIMEOUT to clean up, unless a second stop comes."""
    job = story.job
    if not (job and job["name"] == "cleans up" and job["worker_pid"] and len(story.stops) == 1):
        return
    if story.plan.kills:  # nothing tells a step to clean up once its worker is dead
        return
    begun = story.first("job_output")  # from then on the step handles SIGINT
    if begun and begun["time"] < story.stops[0].time and CLEANED not in job["log"]:
        yield "the step that cleans up for two seconds was not given them"


@promise
def nobody_is_left(story: Story) -> Iterator[str]:
    """PID 1 leaves last, and the kernel has nothing to kill."""
    if story.survivors is None:
        yield "PID 1 did not come to its end"
    elif story.survivors:
        yield f"alive when PID 1 left: {', '.join(story.survivors)}"


@promise
def the_exit_code_is_true(story: Story) -> Iterator[str]:
    """The exit code is in the table, and tells what has happened."""
    codes = set(story.plan.honest) | {128 + stop.signum for stop in story.stops}
    if story.plan.jit_given and RUNNER_FAILED in story.plan.honest:
        codes.add(0)  # otherwise a controller would start it again and again
    if _code_of_a_job(story) or _idle_time_was_up(story):
        codes.add(0)
    if _job_died_at_birth(story) or _github_failed(story):
        codes.add(LEFT)
    if story.code is not None and story.code not in codes:
        yield f"exit code {story.code}, where {sorted(codes)} would be true"


@promise
def the_log_keeps_secrets(story: Story) -> Iterator[str]:
    """The log holds neither the credential nor a token that was made with it."""
    if story.plan.token in story.output:
        yield "the credential is in the log"
    if RUNNER_TOKEN.search(story.output):
        yield "a runner token is in the log"


@promise
def the_log_has_no_traceback(story: Story) -> Iterator[str]:
    """Nothing that an operator or GitHub can cause ends in a traceback."""
    if "Traceback (most recent call last)" in story.output:
        yield "a traceback is in the log"


def _cannot_be_helped(story: Story) -> bool:
    """GitHub was gone, or the job was lost before, and the exit code says so."""
    honest = LEFT in story.plan.honest or _job_died_at_birth(story) or _job_came_unseen(story)
    return story.code == LEFT and honest


def _github_failed(story: Story) -> bool:
    """GitHub failed after the stop; for a stop in config.sh, at any time."""
    if not story.stops:
        return False
    stop = story.stops[0]
    return story.faults(0.0 if stop.phase == "config.sh" else stop.time) > 0


def _job_died_at_birth(story: Story) -> bool:
    """The listener was killed, or its runner deleted, before a job had its worker."""
    harmed = any(action.what in {"kill", "forget"} for action in story.plan.actions)
    arrived = story.first("job_assigned") is not None
    return harmed and arrived and not story.first("worker_started")


def _job_came_unseen(story: Story) -> bool:
    """A stop could not ask GitHub, and came in the 0.05 s before a listener tells of its job."""
    unasked = story.plan.jit_given or _github_failed(story)
    acquired = story.first("request", "/acquirejob$")
    return unasked and story.first("job_assigned") is not None and acquired is None


def _is_rest(event: Event) -> bool:
    return event["kind"] == "request" and "/actions/runners/" in event["path"]


def _code_of_a_job(story: Story) -> bool:
    return bool(story.job and story.job["result"] == "succeeded")


def _idle_time_was_up(story: Story) -> bool:
    return "RUNNER_IDLE_TIMEOUT" in story.plan.settings and not story.first("job_assigned")
