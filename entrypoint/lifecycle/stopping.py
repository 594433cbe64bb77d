"""A stop, whenever it arrives: ask first, stop second.

A listener that is still registered is not signalled without a worker: between a job's arrival
and the start of its worker, 0.1 s later, a signal would lose the job.
"""

from __future__ import annotations

import time

from entrypoint import log
from entrypoint.errors import Failure
from entrypoint.init.pid1 import Init
from entrypoint.lifecycle.hangs import Scene
from entrypoint.lifecycle.until_job import UntilJob
from entrypoint.runner.listener import Listener
from entrypoint.settings.schema import Settings

LEAVE_TIMEOUT = 2.0  # seconds; an interrupted idle listener needs 0.1
REPORT_TIME = 2.0  # seconds that a worker needs to report a job whose processes are gone
LOOK_RESERVE = 1.0  # seconds kept for looking at GitHub's list after the listener has gone
WROTE_LATELY = 2.0  # seconds; a listener that has written since then may be about to take a job
ARRIVAL_TIME = 1.0  # seconds from there to its worker; 0.2 were measured
_KILL_EVERY = 0.5  # seconds
_LOOK_EVERY = 0.02  # seconds; the start of somebody else's child sends us no signal
_IDLE_EVERY = 0.2  # seconds; nor does its end


def stop(scene: Scene, credential: UntilJob, *, drain: float) -> bool:
    """Stop the listener; return True if a job ran on to its end meanwhile, as a drain lets it.

    `drain` is in seconds.
    """
    pid_1, listener = scene.pid_1, scene.listener
    pid_1.stop.begin(scene.settings.stop_timeout)
    if not listener.busy() and _off_the_list(scene):
        leave(pid_1, listener)
        return False
    _wait_for_worker(pid_1, listener)
    scene.remover.registration.job_taken(listener.job_name())
    if drain:
        with credential.answering():
            if _drained(scene, drain):
                return True
    _cancel(pid_1, scene.settings, listener, pid_1.stop.deadline - LOOK_RESERVE)
    return False


def _wait_for_worker(pid_1: Init, listener: Listener) -> None:
    """Wait until the job that GitHub speaks of is in the hands of a worker.

    0.15 s were measured; with a throttled CPU it has all the time that a report does not need,
    and half of it in a stop that is short.
    """
    now, deadline = time.monotonic(), pid_1.stop.deadline
    until = max(deadline - REPORT_TIME - LOOK_RESERVE, now + (deadline - now) / 2)
    pid_1.wait_for(lambda: listener.busy() or listener.ended(), until, poll=_LOOK_EVERY)


def _drained(scene: Scene, drain: float) -> bool:
    """Let the job go on to its end, and the listener with it; False when the drain is over.

    A listener that is not ephemeral would stay, and take the next job.
    """
    pid_1, listener = scene.pid_1, scene.listener
    log.info("job.draining", "a job is running and may end", seconds=drain)
    left, end = pid_1.stop.left(), time.monotonic() + drain
    stays = not scene.settings.ephemeral
    while True:
        over = pid_1.wait_for(
            lambda: listener.ended() or (stays and not listener.busy()),
            end,
            hurry=True,
            poll=_IDLE_EVERY if stays else None,
        )
        pid_1.stop.allow(left)  # the drain is no part of RUNNER_STOP_TIMEOUT
        if not over or listener.ended():
            return over
        if _off_the_list(scene):
            leave(pid_1, listener)
            return True
        _wait_for_worker(pid_1, listener)


def _off_the_list(scene: Scene) -> bool:
    """Whether an idle listener may be ended: its registration is gone, or GitHub does not answer.

    GitHub is asked for half of the stop's time; the rest is for asking again once the listener is
    gone. A job may have arrived meanwhile, which has to be cancelled first: False then.
    """
    pid_1, listener, remover = scene.pid_1, scene.listener, scene.remover
    try:
        removed = remover.remove(time.monotonic() + scene.settings.stop_timeout / 2)
        if not removed or listener.busy():
            return False
        # GitHub was not asked about a registration that is not ours.
        return remover.registration.ours or not job_arrives(pid_1, listener)
    except OSError as error:  # fork failed at the pids limit: the job's processes must go first
        log.warning("github.unasked", "GitHub cannot be asked", why=error.strerror)
        return False
    except Failure as failure:
        log.warning(
            "runner.not_removed",
            "GitHub does not take the runner off its list",
            why=failure.message,
        )
        return not listener.busy() and not job_arrives(pid_1, listener)


def job_arrives(pid_1: Init, listener: Listener) -> bool:
    """Whether a job has just come, of which GitHub has not told us: wait for its worker then.

    The listener's log grows 0.05 s after a job was queued, and the worker is there 0.2 s later
    (actions/runner). In between a signal would lose the job.
    """
    if not listener.wrote_lately(WROTE_LATELY):
        return False
    return pid_1.wait_for(
        listener.busy, time.monotonic() + ARRIVAL_TIME, hurry=True, poll=_LOOK_EVERY
    )


def leave(pid_1: Init, listener: Listener) -> None:
    """End an idle listener: SIGINT, and KILL if that is not enough."""
    listener.interrupt()
    if not pid_1.wait_for(listener.ended, time.monotonic() + LEAVE_TIMEOUT, hurry=True):
        listener.kill()


def _cancel(pid_1: Init, settings: Settings, listener: Listener, deadline: float) -> None:
    """Have the job cancelled and reported: the worker alone would wait for it for too long."""
    log.info("job.cancelling", "cancelling the job", seconds=settings.cancel_timeout)
    listener.interrupt()
    killing = min(time.monotonic() + settings.cancel_timeout, deadline - REPORT_TIME)
    over = pid_1.wait_for(listener.ended, killing, hurry=True)
    if not over:
        log.info("job.killing", "killing the job's processes")
    while not over:
        listener.kill_job()
        # And again: a worker that has just started comes to its step later, cancelled or not.
        over = pid_1.wait_for(listener.ended, min(deadline, time.monotonic() + _KILL_EVERY))
        if time.monotonic() >= deadline:
            break
    if not over:
        log.warning("listener.killed", "the listener did not leave in time and is killed")
        listener.kill()
