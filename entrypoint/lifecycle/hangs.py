"""A listener that lives and does nothing: jobs that do not start, and jobs that do not end.

GitHub's runner hangs in ways in which its process lives (actions/runner#4617, #4668, #4312, #4598,
actions-runner-controller#4603, #4588). Nothing is decided on an error, and no look is made without
a reason: an answer that is not there leaves the suspicion as it is.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from entrypoint import log
from entrypoint.container.state import State
from entrypoint.errors import ExitCode, Failure
from entrypoint.init.pid1 import Init
from entrypoint.lifecycle.engine import Engine
from entrypoint.lifecycle.life_figures import Figures
from entrypoint.registration.remove import Listed, Remover
from entrypoint.runner.listener import Listener
from entrypoint.settings.schema import Settings

if TYPE_CHECKING:
    from entrypoint.lifecycle.watching import Idle, Phase

# All in seconds.
START_TIME = 60.0  # from the growth of the listener's log to the start of a worker
LEASE = 660.0  # GitHub's lease of a job is 600; after it GitHub itself gives the job up
SECOND_LOOK = 10.0  # after a look that misses the runner
LONGEST_PAUSE = 240.0  # between two looks
JOB_LOOK = 600.0  # between two looks at GitHub's list while a job runs
BUSY_LOOK = 10.0  # between two looks at the worker's process, whose end sends PID 1 no signal
LEAVE_TIME = 30.0  # that an ephemeral listener has to leave after its worker's end
INTERRUPT_TIME = 10.0  # that it has to leave once it is interrupted

_MISSES = 2  # looks in a row that miss the runner; one may be a hiccup of GitHub's
_CONFLICT = "A session for this runner already exists"
# The line that follows "Listening for Jobs", and belongs to it.
_LISTENS = "Set runner/worker IPC timeout"
# What the listener writes when the message of a job has come, whatever becomes of it.
_JOB_MESSAGES = ("GetCredentialProvider", "acquirejob", "Skipping message Job", "Job request")


class Scene(NamedTuple):
    """Who plays: PID 1, the listener, the registration, and the state file that tells of them."""

    pid_1: Init
    settings: Settings
    listener: Listener
    remover: Remover
    seen: State
    figures: Figures
    engine: Engine


class Abandoned(Exception):
    """The life is to be ended as by a signal, and then with a Failure."""

    def __init__(self, message: str, hint: str, code: ExitCode = ExitCode.RUNNER) -> None:
        """Keep the Failure."""
        super().__init__(message)
        self.failure = Failure(code, message, hint)


class Misses:
    """Looks in a row that miss the runner on GitHub's list."""

    def __init__(self, scene: Scene, words: str) -> None:
        """Take what to say when it is given up."""
        self._name, self._words = scene.remover.registration.name, words
        self._count = 0

    def count(self, *, missed: bool) -> None:
        """Take in one look. Raises a Failure (76) at the second miss in a row."""
        self._count = self._count + 1 if missed else 0
        if self._count == _MISSES:
            raise Failure(
                ExitCode.RUNNER,
                f"{self._words} ({self._name})",
                "a new container registers anew; if it happens again and again, look for who or"
                " what removes your runners",
            )


def words_of_a_listener(listener: Listener) -> str:
    """Return what a listener that listens has written since the last time; "" while it starts."""
    words = listener.growth()
    if _CONFLICT in words:
        log.warning(
            "session.conflict",
            "another process holds a session of this registration; GitHub's runner tries for four"
            " minutes, and then ends",
            hint="give each container a configuration of its own",
        )
    said = [line for line in words.splitlines() if _LISTENS not in line]
    return "\n".join(said) if listener.is_listening else ""


class Suspicion:
    """The listener's log has grown, and there is no worker: it may have lost a job."""

    def __init__(self, scene: Scene, words: str, idle: Idle) -> None:
        """Give the worker its time to start."""
        self._scene, self._words, self._idle = scene, words, idle
        self._misses = Misses(
            scene, "GitHub dropped this runner with a job that it could not start"
        )
        self._begun = time.monotonic()
        self._pause = START_TIME
        self._look_at = self._begun + self._pause
        self._is_told = False

    @property
    def moment(self) -> float:
        """The next look, or the end of the patience of an idle runner."""
        return min(self._look_at, self._idle.end)

    def news(self) -> bool:
        """Return whether the worker is there: then nothing was wrong."""
        return self._scene.listener.has_worker()

    def look(self) -> Phase | None:
        """Ask GitHub once a worker should have started, and again more and more seldom."""
        if self._scene.listener.has_worker():
            self._clear()
            return self._idle.look()
        now = time.monotonic()
        if now < self._look_at:
            return self if self._idle.look_at_clock() else None
        self._words += self._scene.listener.growth()
        listed = self._scene.remover.look()
        if not self._is_suspicious(listed):
            self._clear()
            self._scene.listener.expect_growth()
            return self._idle
        self._tell(listed)
        self._misses.count(missed=listed is Listed.NO)
        self._require_patience(listed, now)
        self._look_later(listed, now)
        return self

    def _is_suspicious(self, listed: Listed) -> bool:
        """Whether a job may be lost; a token that was renewed also makes the log grow."""
        if listed is Listed.IDLE or not self._scene.remover.can_ask:
            return any(message in self._words for message in _JOB_MESSAGES)
        return True

    def _tell(self, listed: Listed) -> None:
        if not self._is_told:
            self._is_told = True
            self._scene.seen.stuck("a job has come, and no worker has started")
            log.warning(
                "job.not_started",
                "a job may have come, and no worker has started",
                seconds=round(time.monotonic() - self._begun),
                limit=LEASE,
                listed=listed.value,
            )
        elif listed is Listed.UNKNOWN and self._scene.remover.can_ask:
            log.warning("github.unasked", "GitHub cannot be asked; the suspicion stays")

    def _require_patience(self, listed: Listed, now: float) -> None:
        """Raise Abandoned once GitHub has given the job up; never on an answer that failed."""
        if now - self._begun < LEASE or (listed is Listed.UNKNOWN and self._scene.remover.can_ask):
            return
        raise Abandoned(
            f"a job came {(now - self._begun) / 60:.0f} minutes ago, and no worker has started",
            "GitHub's runner has lost that job: run it again",
        )

    def _look_later(self, listed: Listed, now: float) -> None:
        if listed is Listed.NO:
            self._look_at = now + min(SECOND_LOOK, self._pause)
            return
        self._pause = min(2 * self._pause, LONGEST_PAUSE)
        self._look_at = now + self._pause
        if now < self._begun + LEASE < self._look_at:
            self._look_at = self._begun + LEASE

    def _clear(self) -> None:
        if self._is_told:
            self._scene.seen.stuck("")


class RunningJob:
    """A worker is at work."""

    def __init__(self, scene: Scene, then: Callable[[], Phase]) -> None:
        """Begin its time; `then` makes the phase that follows, for a runner that stays."""
        self._scene, self._then = scene, then
        self._misses = 0
        now = time.monotonic()
        self._end = now + (scene.settings.job_timeout or math.inf)
        self._look_at = now + JOB_LOOK
        self._worker_gone = math.inf
        scene.figures.mark("job_started")
        log.info("job.started", "a job has begun", job=scene.listener.job_name())

    @property
    def moment(self) -> float:
        """The next look at the worker's process."""
        return min(time.monotonic() + BUSY_LOOK, self._end, self._worker_gone + LEAVE_TIME)

    def news(self) -> bool:
        """Return whether the engine has died; the end of the listener is waited for anyway."""
        return self._scene.engine.is_news

    def look(self) -> Phase | None:
        """See whether worker, listener and GitHub still agree."""
        now = time.monotonic()
        self._scene.engine.tell_death()
        if not self._scene.listener.busy():
            return self._after_worker(now)
        self._worker_gone = math.inf
        if now >= self._end:
            seconds = self._scene.settings.job_timeout
            raise Abandoned(
                f"the job has not ended within RUNNER_JOB_TIMEOUT ({seconds:g} s)",
                "the job is cancelled; give it more time, or look at what it waits for",
            )
        if now >= self._look_at and self._scene.remover.can_ask:
            self._look_at_github(now)
        return self

    def _look_at_github(self, now: float) -> None:
        missed = self._scene.remover.look() is Listed.NO
        self._misses = self._misses + 1 if missed else 0
        self._look_at = now + (min(SECOND_LOOK, JOB_LOOK) if missed else JOB_LOOK)
        if self._misses == 1:
            self._scene.seen.stuck("GitHub does not list the runner of a running job")
            log.warning(
                "job.unlisted", "GitHub does not list the runner although its worker goes on"
            )
        elif not missed:
            self._scene.seen.stuck("")
        if self._misses == _MISSES:
            raise Abandoned(
                "GitHub does not list the runner any more, and its worker goes on",
                "the job is over at GitHub: it was cancelled, or the connection was lost",
            )

    def _after_worker(self, now: float) -> Phase:
        """Let an ephemeral listener leave, and see to it that it does."""
        if not self._scene.settings.ephemeral:
            return self._then()
        self._scene.figures.mark("job_ended")
        if self._worker_gone == math.inf:
            self._worker_gone = now
        if now >= self._worker_gone + LEAVE_TIME:
            if self._scene.listener.has_listener():
                message = "the worker has ended, and the listener stays: it is interrupted"
            else:
                message = "the worker has ended, and run.sh stays: it is woken"
            self._scene.seen.stuck(message)
            log.warning("listener.stays", message)
            self._scene.listener.interrupt()
            self._scene.pid_1.wait_for(
                self._scene.listener.ended, time.monotonic() + INTERRUPT_TIME
            )
            if not self._scene.listener.ended():
                log.warning("listener.killed", "the runner did not leave and is killed")
                self._scene.listener.kill()
        return self
