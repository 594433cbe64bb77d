"""A stop of a runner that listens or works: ask GitHub first, and then stop the listener.

A listener that is registered and has no worker must not be signalled. It may just have received a
job: the worker starts 0.1 s after that, and a signal in between would lose the job.
"""

from __future__ import annotations

import math
import time

from entrypoint import log
from entrypoint.errors import Failure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from entrypoint.init.pid1 import Init
    from entrypoint.lifecycle.scene import Scene
    from entrypoint.runner.listener import Listener
    from entrypoint.settings.plan import Plan

LEAVE_TIMEOUT = 2.0  # seconds; an interrupted idle listener needs 0.1
REPORT_TIME = 2.0  # seconds that a worker needs to report a job whose processes are gone
LOOK_RESERVE = 1.0  # seconds kept for asking GitHub once the listener has ended
WROTE_LATELY = 2.0  # seconds; a listener that has written its log since then may be taking a job
HEARD_LATELY = 0.5  # seconds; and so may one that has got an answer of GitHub's since then
ARRIVAL_TIME = 1.0  # seconds from then on to the job's worker; 0.25 were measured
_KILL_EVERY = 0.5  # seconds
_LOOK_EVERY = 0.02  # seconds; the kernel does not tell us when the listener starts a worker
_IDLE_EVERY = 0.2  # seconds; nor when the worker ends


def stop(scene: Scene, *, drain: float) -> bool:
    """Stop the listener; return True if a job ran to its end before that.

    `drain` is the number of seconds that a job may go on.
    """
    pid_1, listener = scene.pid_1, scene.listener
    pid_1.stop.begin(scene.plan.stop_timeout)
    if listener.busy():
        log.debug("life.decision", "GitHub is not asked: the worker shows that there is a job")
    elif _off_the_list(scene):
        leave(pid_1, listener)
        return False
    _wait_for_worker(pid_1, listener)
    scene.remover.registration.job_taken(listener.job_name())
    if drain:
        with scene.drop.when_asked():
            if _drained(scene, drain):
                return True
    _cancel(pid_1, scene.plan, listener, pid_1.stop.deadline - LOOK_RESERVE)
    return False


def _wait_for_worker(pid_1: Init, listener: Listener) -> None:
    """Wait for the worker of the job that GitHub says the runner has."""
    # 0.15 s were measured, but a container's CPU may be throttled. So wait for as long as the rest
    # of the stop does not need, and in a short stop for half of the time.
    now, deadline = time.monotonic(), pid_1.stop.deadline
    until = max(deadline - REPORT_TIME - LOOK_RESERVE, now + (deadline - now) / 2)
    if not listener.busy():
        log.debug(
            "life.decision",
            f"a job has come to the runner: its worker is awaited for {until - now:.1f} s",
        )
    pid_1.wait_for(lambda: listener.busy() or listener.ended(), until, poll=_LOOK_EVERY)


def _drained(scene: Scene, drain: float) -> bool:
    """Let the job run to its end, and end the listener; False if the drain is over before that.

    A listener that is not ephemeral is removed from GitHub's list after the job, because it would
    take the next one.
    """
    pid_1, listener = scene.pid_1, scene.listener
    left, end = pid_1.stop.left(), time.monotonic() + drain
    limit = math.ceil(drain + left)
    log.info(
        "job.draining",
        f"a job is running and may end within {drain:g} s; the stop may take {limit} s in all",
        limit=limit,
        hint=f"give the container at least {limit} s, or it is killed before: docker stop --time,"
        " stop_grace_period, terminationGracePeriodSeconds, TimeoutStopSec",
    )
    stays = not scene.plan.ephemeral
    while True:
        over = pid_1.wait_for(
            lambda: listener.ended() or (stays and not listener.busy()),
            end,
            hurry=True,
            poll=_IDLE_EVERY if stays else None,
        )
        pid_1.stop.allow(left)  # RUNNER_STOP_TIMEOUT does not include the drain
        if not over or listener.ended():
            return over
        if _off_the_list(scene):
            leave(pid_1, listener)
            return True
        _wait_for_worker(pid_1, listener)


def _off_the_list(scene: Scene) -> bool:
    """Remove an idle runner from the list; return whether its listener may be ended now.

    It may also be ended if GitHub does not answer within half of the stop's time; the rest is for
    asking again once the listener has ended. Returns False if a job has arrived meanwhile, because
    the job must be cancelled first.
    """
    pid_1, listener, remover = scene.pid_1, scene.listener, scene.remover
    try:
        removed = remover.remove(time.monotonic() + scene.plan.stop_timeout / 2)
        if not removed or listener.busy():
            log.debug("life.decision", "the listener goes on: a job has come to the runner")
            return False
        # GitHub was not asked about a registration that is not ours.
        return remover.registration.ours or not job_arrives(pid_1, listener)
    except OSError as error:  # fork failed at the pids limit: the job's processes must go first
        log.warning("github.unasked", "no process can ask GitHub", why=error.strerror)
        return False
    except Failure as failure:
        log.warning(
            "runner.not_removed",
            "GitHub does not take the runner off its list",
            why=failure.message,
        )
        log.debug("life.decision", "half of the stop's time is over: an idle listener is ended")
        return not listener.busy() and not job_arrives(pid_1, listener)


def job_arrives(pid_1: Init, listener: Listener) -> bool:
    """Whether a job has just arrived, as the listener's connections, its log and its worker show.

    GitHub hands out a job as the answer to a request that the listener makes every 50 seconds. The
    listener writes its log 0.05 s after that answer, and the worker starts 0.2 s later
    (actions/runner). A signal in between would lose the job, so wait for the worker.
    """
    if not (listener.heard_lately(HEARD_LATELY) or listener.wrote_lately(WROTE_LATELY)):
        return False
    log.debug(
        "life.decision",
        "the listener has just received or written something: a worker is awaited for"
        f" {ARRIVAL_TIME:g} s",
    )
    if _has_come(pid_1, listener):
        return True
    # A processor that is busy makes all of this slower: go on while the log tells of something.
    return listener.wrote_lately(ARRIVAL_TIME) and _has_come(pid_1, listener)


def _has_come(pid_1: Init, listener: Listener) -> bool:
    """Wait for a worker, for ARRIVAL_TIME or until the deadline of a stop.

    A second signal does not shorten this: it would lose the job for one second.
    """
    until = min(time.monotonic() + ARRIVAL_TIME, pid_1.stop.deadline)
    return pid_1.wait_for(listener.busy, until, poll=_LOOK_EVERY)


def leave(pid_1: Init, listener: Listener) -> None:
    """End an idle listener by SIGINT, or by SIGKILL if that is not enough."""
    listener.interrupt()
    if not pid_1.wait_for(listener.ended, time.monotonic() + LEAVE_TIMEOUT, hurry=True):
        log.debug("life.decision", "the listener has no job and does not end: it is killed")
        listener.kill()


def _cancel(pid_1: Init, plan: Plan, listener: Listener, deadline: float) -> None:
    """Cancel the job, and kill its processes if the worker waits too long for their end."""
    limit = plan.cancel_timeout
    log.info(
        "job.cancelling",
        f"cancelling the job; its processes have {limit:g} s to end",
        limit=limit,
    )
    listener.interrupt()
    killing = min(time.monotonic() + plan.cancel_timeout, deadline - REPORT_TIME)
    over = pid_1.wait_for(listener.ended, killing, hurry=True)
    if not over:
        log.info("job.killing", "killing the job's processes")
    while not over:
        listener.kill_job()
        # Kill again and again: a worker that has just started begins its step later, although the
        # job was cancelled.
        over = pid_1.wait_for(listener.ended, min(deadline, time.monotonic() + _KILL_EVERY))
        if time.monotonic() >= deadline:
            break
    if not over:
        log.warning("listener.killed", "the listener did not leave in time and is killed")
        listener.kill()
