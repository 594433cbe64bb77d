"""Waiting beside the listener: for its end, for a job, and for too long without one.

One wait serves all. An idle runner costs nothing, no request and no wake-up, but what the settings
ask for: PID 1 wakes when the listener's log grows and when a worker comes. What happens then, and
what GitHub's runner does not tell of itself, is in hangs.py.
"""

from __future__ import annotations

import math
import time
from typing import Protocol

from entrypoint import log
from entrypoint.errors import ExitCode, Failure
from entrypoint.lifecycle import hangs, stopping
from entrypoint.lifecycle.hangs import Abandoned, Scene
from entrypoint.registration.remove import Listed


class Phase(Protocol):
    """What is waited for now."""

    @property
    def moment(self) -> float:
        """When to look again if nothing happens (time.monotonic()); infinite for never."""

    def news(self) -> bool:
        """Return whether something has happened that this phase waits for."""

    def look(self) -> Phase | None:
        """Act on the news or the moment; return the phase that follows, None to leave idle."""


def until_end(scene: Scene) -> bool:
    """Wait for the end of the listener; False if it was sent home because no job came.

    Raises Stopped at the first stop; Abandoned for a life that has to be ended as by a signal; a
    Failure (76) if GitHub has dropped the runner, or run.sh starts the listener again and again.
    """
    listener = scene.listener
    phase: Phase | None = Idle(scene)
    while phase is not None:
        news, moment = phase.news, phase.moment
        scene.pid_1.wait_for(
            lambda news=news: listener.ended() or _is_looping(scene) or news(),  # type: ignore[misc]
            None if moment == math.inf else moment,
        )
        if _is_looping(scene):
            times = listener.relaunches
            message = f"the listener has failed and was started again {times} times"
            raise Failure(ExitCode.RUNNER, message)
        if listener.ended():
            return True
        phase = phase.look()
    return False


def _is_looping(scene: Scene) -> bool:
    """Whether run.sh, which knows no limit, has gone beyond ours without any job."""
    return scene.listener.relaunches > scene.settings.max_restarts and not scene.listener.had_job


class Idle:
    """No job yet: at most RUNNER_IDLE_TIMEOUT, with a look at GitHub's list at each watchdog."""

    def __init__(self, scene: Scene) -> None:
        """Begin to wait; PID 1 wakes when the listener's log grows."""
        self._scene = scene
        self._misses = hangs.Misses(scene, "GitHub does not list the runner any more")
        now = time.monotonic()
        self.end = now + (scene.settings.idle_timeout or math.inf)
        self._watchdog = now + (scene.settings.watchdog or math.inf)
        scene.listener.expect_growth()

    @property
    def moment(self) -> float:
        """The end of the patience, or the next look."""
        return min(self.end, self._watchdog)

    def news(self) -> bool:
        """Return whether a worker is there, or the listener has said something."""
        listener = self._scene.listener
        return listener.has_worker() or listener.has_grown() or self._scene.engine.is_news

    def look(self) -> Phase | None:
        """Go on with the job, with what the listener has said, or with waiting."""
        listener = self._scene.listener
        if listener.has_worker():
            return hangs.RunningJob(self._scene, then=lambda: Idle(self._scene))
        if self._scene.engine.has_ended:
            failure = self._scene.engine.died()
            raise Abandoned(failure.message, failure.hint, failure.code)
        if listener.has_grown():
            words = hangs.words_of_a_listener(listener)
            if listener.is_listening:
                self._scene.figures.mark("listening")
            if words:
                return hangs.Suspicion(self._scene, words, self)
            listener.expect_growth()
        return self.look_at_clock()

    def look_at_clock(self) -> Phase | None:
        """Act on a moment that has come."""
        now = time.monotonic()
        if now >= self.end:
            if _left_idle(self._scene):
                return None
            self.end = time.monotonic() + self._scene.settings.idle_timeout
        elif now >= self._watchdog:
            self._misses.count(missed=self._scene.remover.look() is Listed.NO)
            self._watchdog = now + self._scene.settings.watchdog
        return self


def _left_idle(scene: Scene) -> bool:
    """Take an idle runner off the list and end it, unless a job has come at the last moment.

    Where GitHub cannot be asked it stays: it may have got that job.
    """
    log.info("idle.timeout", "no job came within RUNNER_IDLE_TIMEOUT")
    try:
        if not scene.remover.remove() or scene.listener.busy():
            return False
    except Failure as failure:
        log.warning("runner.kept", "the runner goes on listening", why=failure.message)
        return False
    if not scene.remover.registration.ours and stopping.job_arrives(scene.pid_1, scene.listener):
        return False
    stopping.leave(scene.pid_1, scene.listener)
    return True
