"""A stop, whenever it arrives: ask first, stop second.

A listener that is still registered is never signalled without a worker: between a job's arrival
and the start of its worker, 0.1 s later, a signal would lose the job.
"""

from __future__ import annotations

import time

from entrypoint import log
from entrypoint.deregistration import Remover
from entrypoint.init import Init
from entrypoint.listener import Listener
from entrypoint.settings import Settings

LEAVE_TIMEOUT = 2.0  # seconds; an interrupted idle listener needs 0.1
WORKER_TIMEOUT = 3.0  # seconds from the arrival of a job to its worker; 0.15 were measured
REPORT_RESERVE = 1.0  # seconds kept for looking at GitHub's list after the listener has gone
_LOOK_EVERY = 0.02  # seconds; the start of somebody else's child sends us no signal


def stop(pid_1: Init, settings: Settings, listener: Listener, remover: Remover) -> bool:
    """Stop the listener; return True if a job ran on to its end meanwhile, as a drain lets it.

    Raises a Failure (74) if GitHub does not answer in time.
    """
    remover.deadline = time.monotonic() + settings.stop_timeout
    if not listener.busy() and remover.remove():
        leave(pid_1, listener)
        return False
    pid_1.wait_for(
        lambda: listener.busy() or not listener.alive,
        time.monotonic() + WORKER_TIMEOUT,
        poll=_LOOK_EVERY,
    )
    if settings.drain_timeout:
        log.info("a job is running and may end", seconds=settings.drain_timeout)
        drained = time.monotonic() + settings.drain_timeout
        if pid_1.wait(listener.child, drained, hurry=True) is not None:
            return True
        remover.deadline = time.monotonic() + settings.stop_timeout
    remover.registration.tidy = False
    _cancel(pid_1, settings, listener, remover.deadline - REPORT_RESERVE)
    return False


def leave(pid_1: Init, listener: Listener) -> None:
    """End a listener that has no registration any more, so that it can lose nothing."""
    listener.interrupt()
    if pid_1.wait(listener.child, time.monotonic() + LEAVE_TIMEOUT) is None:
        listener.kill()


def _cancel(pid_1: Init, settings: Settings, listener: Listener, deadline: float) -> None:
    """Have the job cancelled and reported: the worker alone would wait for it for too long."""
    log.info("cancelling the job", seconds=settings.cancel_timeout)
    listener.interrupt()
    killing = min(time.monotonic() + settings.cancel_timeout, deadline - LEAVE_TIMEOUT)
    if pid_1.wait(listener.child, killing, hurry=True) is None:
        log.info("killing the job's processes")
        listener.kill_job()
    if pid_1.wait(listener.child, deadline) is None:
        log.warning("the listener did not leave in time and is killed")
        listener.kill()
