"""Waiting beside the listener: for its end, for too long without a job, for a ghost.

A ghost is a listener that waits although GitHub has dropped its registration. One wait serves
all: PID 1 wakes for nothing but what the settings ask for.
"""

from __future__ import annotations

import math
import time

from entrypoint import log
from entrypoint.errors import ExitCode, Failure
from entrypoint.init.pid1 import Init
from entrypoint.lifecycle import stopping
from entrypoint.registration.remove import Remover
from entrypoint.runner.listener import Listener
from entrypoint.settings.schema import Settings

_GHOST = 2  # looks in a row that miss the runner; one may be a hiccup of GitHub's


def until_end(pid_1: Init, settings: Settings, listener: Listener, remover: Remover) -> bool:
    """Wait for the end of the listener; False if it was sent home because no job came.

    Raises Stopped at the first stop, and a Failure (76) for a ghost or a listener that run.sh
    starts again and again.
    """
    idle = settings.idle_timeout or math.inf
    pause = settings.watchdog or math.inf
    idle_end, next_look = time.monotonic() + idle, time.monotonic() + pause
    missed = 0
    while not pid_1.wait_for(
        lambda: listener.ended() or _looping(settings, listener), _earliest(idle_end, next_look)
    ):
        now = time.monotonic()
        if listener.busy():
            idle_end, next_look = now + idle, now + pause
        elif now >= idle_end:
            if _left_idle(pid_1, listener, remover):
                return False
            idle_end = time.monotonic() + idle
        else:
            missed = 0 if remover.is_listed() else missed + 1
            if missed == _GHOST:
                raise _unlisted(remover)
            next_look = now + pause
    if _looping(settings, listener):
        times = listener.relaunches
        raise Failure(
            ExitCode.RUNNER, f"the listener has failed and was started again {times} times"
        )
    return True


def _looping(settings: Settings, listener: Listener) -> bool:
    """Whether run.sh, which knows no limit, has gone beyond ours without any job."""
    return listener.relaunches > settings.max_restarts and not listener.had_job


def _earliest(*deadlines: float) -> float | None:
    first = min(deadlines)
    return None if first == math.inf else first


def _left_idle(pid_1: Init, listener: Listener, remover: Remover) -> bool:
    """Take an idle runner off the list and end it, unless a job has come at the last moment.

    Where GitHub cannot be asked it stays: it may have got that job.
    """
    log.info("no job came within RUNNER_IDLE_TIMEOUT")
    try:
        if not remover.remove() or listener.busy():
            return False
    except Failure as failure:
        log.warning("the runner goes on listening", why=failure.message)
        return False
    stopping.leave(pid_1, listener)
    return True


def _unlisted(remover: Remover) -> Failure:
    return Failure(
        ExitCode.RUNNER,
        f"GitHub does not list the runner {remover.registration.name} any more",
        "a new container registers anew; look for who or what removes your runners",
    )
