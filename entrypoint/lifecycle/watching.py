"""Waiting while the listener runs: for its end, for a job, or for the end of the idle time.

All are awaited by one wait. PID 1 wakes when the listener's log grows and when a worker starts. So
an idle runner causes no requests and no wake-ups, unless the settings ask for them. hangs.py has
the phases after that, in which GitHub's runner may hang.
"""

from __future__ import annotations

import math
import time

from entrypoint import log
from entrypoint.errors import ExitCode, Failure
from entrypoint.lifecycle import hangs, stopping
from entrypoint.lifecycle.hangs import Abandoned

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    from entrypoint.lifecycle.scene import Scene

    class Phase(Protocol):
        """One phase of the waiting, such as idle or running a job."""

        @property
        def moment(self) -> float:
            """When to call `look` if there is no news (time.monotonic()); infinite for never."""

        def news(self) -> bool:
            """Return whether something has happened for which this phase waits."""

        def look(self) -> Phase | None:
            """Act on the news or the moment; return the next phase, None to end an idle runner."""


def until_end(scene: Scene) -> bool:
    """Wait for the end of the listener; return False if it was ended because no job came.

    Raises Stopped at the first stop, and Abandoned if the runner hangs and must be stopped. Raises
    a Failure (76) if GitHub no longer lists the runner, or if run.sh restarts the listener again
    and again.
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


def note_session(scene: Scene) -> str:
    """Note that the listener listens, if its log says so; return its new words after that."""
    words = hangs.words_of_a_listener(scene.listener)
    if scene.listener.is_listening:
        scene.figures.mark("listening")
    return words


def _is_looping(scene: Scene) -> bool:
    """Whether run.sh has restarted the listener too often without a job: run.sh has no limit."""
    return scene.listener.relaunches > scene.plan.max_restarts and not scene.listener.had_job


class Idle:
    """No job yet: wait for RUNNER_IDLE_TIMEOUT, and ask GitHub at each RUNNER_WATCHDOG."""

    def __init__(self, scene: Scene) -> None:
        """Begin the idle time, and have PID 1 woken when the listener's log grows."""
        self._scene = scene
        self._misses = hangs.Misses(
            hangs.unlisted(scene, "GitHub does not list the runner any more")
        )
        now = time.monotonic()
        self.end = now + (scene.plan.idle_timeout or math.inf)
        self._watchdog = now + (scene.plan.watchdog or math.inf)
        scene.listener.expect_growth()

    @property
    def moment(self) -> float:
        """The end of the idle time, or the next look at GitHub's list."""
        return min(self.end, self._watchdog)

    def news(self) -> bool:
        """Return whether there is a worker, a new line in the listener's log, or a dead engine."""
        listener = self._scene.listener
        return listener.has_worker() or listener.has_grown() or self._scene.engine.is_news

    def look(self) -> Phase | None:
        """Return the phase for a job, for a suspicious line in the log, or go on waiting."""
        listener = self._scene.listener
        if listener.has_worker():
            note_session(self._scene)
            return hangs.RunningJob(self._scene, then=lambda: Idle(self._scene))
        if self._scene.engine.has_ended:
            raise Abandoned(self._scene.engine.died())
        if listener.has_grown():
            if words := note_session(self._scene):
                return hangs.Suspicion(self._scene, words, self)
            listener.expect_growth()
        return self.look_at_clock()

    def look_at_clock(self) -> Phase | None:
        """Act on the end of the idle time, or on the time for a look at GitHub's list."""
        now = time.monotonic()
        if now >= self.end:
            if _left_idle(self._scene):
                return None
            self.end = time.monotonic() + self._scene.plan.idle_timeout
        elif now >= self._watchdog:
            self._misses.count(missed=self._scene.remover.look() == "no")
            self._watchdog = now + self._scene.plan.watchdog
        return self


def _left_idle(scene: Scene) -> bool:
    """Remove an idle runner from the list and end it, unless a job has come at the last moment.

    If GitHub cannot be asked, the runner stays, because it may have got a job.
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
