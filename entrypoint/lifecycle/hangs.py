"""A listener that is alive but hangs: jobs that do not start, and jobs that do not end.

GitHub's runner can hang while its process is alive (actions/runner#4617, #4668, #4312, #4598,
actions-runner-controller#4603, #4588). PID 1 looks only if it has a reason. If GitHub cannot be
asked, nothing is decided, and PID 1 looks again later.
"""

from __future__ import annotations

import math
import time

from entrypoint import log
from entrypoint.errors import ExitCode, Failure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from entrypoint.lifecycle.scene import Scene
    from entrypoint.lifecycle.watching import Idle, Phase
    from entrypoint.registration.remove import Listed
    from entrypoint.runner.listener import Listener

# All in seconds.
START_TIME = 60.0  # from the growth of the listener's log to the start of a worker
LEASE = 660.0  # GitHub lends a job to a runner for 600, and then gives the job up itself
SECOND_LOOK = 10.0  # after a look that misses the runner
LONGEST_PAUSE = 240.0  # between two looks
JOB_LOOK = 600.0  # between two looks at GitHub's list while a job runs
BUSY_LOOK = 10.0  # between two looks at the worker, whose end sends no signal to PID 1
LEAVE_TIME = 30.0  # from the end of the worker to the end of an ephemeral listener
INTERRUPT_TIME = 10.0  # from SIGINT to the end of the listener

_MISSES = 2  # looks in a row that do not find the runner; a single one may be GitHub's error
_CONFLICT = "A session for this runner already exists"
# The line that follows "Listening for Jobs", and belongs to it.
_LISTENS = "Set runner/worker IPC timeout"
# The listener writes one of these when it has received a job, even if the job then fails to start.
_JOB_MESSAGES = ("GetCredentialProvider", "acquirejob", "Skipping message Job", "Job request")


class Abandoned(Exception):
    """The runner must be stopped, as by a signal, and then the program ends with a Failure."""

    def __init__(self, failure: Failure) -> None:
        """Keep the Failure."""
        super().__init__(failure.message)
        self.failure = failure


class Misses:
    """Counts looks in a row that do not find the runner on GitHub's list."""

    def __init__(self, end: Exception) -> None:
        """Take the exception that ends the life."""
        self._end = end
        self._count = 0

    def count(self, *, missed: bool) -> bool:
        """Count one look; return whether it is a first miss. Raises the exception at a second."""
        self._count = self._count + 1 if missed else 0
        if self._count == _MISSES:
            raise self._end
        return missed


def unlisted(scene: Scene, words: str) -> Failure:
    """Return the Failure (76) for an idle runner that GitHub no longer lists."""
    return Failure(
        ExitCode.RUNNER,
        f"{words} ({scene.remover.registration.name})",
        "a new container registers anew; if it happens again and again, look for who or what"
        " removes your runners",
    )


def words_of_a_listener(listener: Listener) -> str:
    """Return what the listener has written since the last call; "" until it listens."""
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
    """The listener's log has grown, and there is no worker: the listener may have lost a job."""

    def __init__(self, scene: Scene, words: str, idle: Idle) -> None:
        """Begin the time in which the worker should start."""
        self._scene, self._words, self._idle = scene, words, idle
        self._misses = Misses(
            unlisted(scene, "GitHub dropped this runner with a job that it could not start")
        )
        self._begun = time.monotonic()
        self._pause = START_TIME
        self._look_at = self._begun + self._pause
        self._is_told = False

    @property
    def moment(self) -> float:
        """The next look, or the end of RUNNER_IDLE_TIMEOUT."""
        return min(self._look_at, self._idle.end)

    def news(self) -> bool:
        """Return whether the worker has started: then nothing was wrong."""
        return self._scene.listener.has_worker()

    def look(self) -> Phase | None:
        """Ask GitHub once the worker should have started, and then again after growing pauses."""
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
        self._misses.count(missed=listed == "no")
        self._require_patience(listed, now)
        self._look_later(listed, now)
        return self

    def _is_suspicious(self, listed: Listed) -> bool:
        """Whether a job may be lost: the log also grows when the listener renews its token."""
        if listed == "idle" or not self._scene.remover.can_ask:
            return any(message in self._words for message in _JOB_MESSAGES)
        return True

    def _tell(self, listed: Listed) -> None:
        if not self._is_told:
            self._is_told = True
            self._scene.state_file.stuck("a job has come, and no worker has started")
            log.warning(
                "job.not_started",
                "a job may have come, and no worker has started",
                seconds=round(time.monotonic() - self._begun),
                limit=LEASE,
                listed=listed,
            )
        elif listed == "unknown" and self._scene.remover.can_ask:
            log.warning("github.unasked", "GitHub cannot be asked; the suspicion stays")

    def _require_patience(self, listed: Listed, now: float) -> None:
        """Raise Abandoned once GitHub has given the job up, but not if GitHub cannot be asked."""
        if now - self._begun < LEASE or (listed == "unknown" and self._scene.remover.can_ask):
            return
        raise _abandoned(
            f"a job came {(now - self._begun) / 60:.0f} minutes ago, and no worker has started",
            "GitHub's runner has lost that job: run it again",
        )

    def _look_later(self, listed: Listed, now: float) -> None:
        if listed == "no":
            self._look_at = now + SECOND_LOOK
            return
        self._pause = min(2 * self._pause, LONGEST_PAUSE)
        self._look_at = now + self._pause
        if now < self._begun + LEASE < self._look_at:
            self._look_at = self._begun + LEASE

    def _clear(self) -> None:
        if self._is_told:
            self._scene.state_file.stuck("")


class RunningJob:
    """A worker is running a job."""

    def __init__(self, scene: Scene, then: Callable[[], Phase]) -> None:
        """Begin the job's time; `then` makes the next phase of a runner that is not ephemeral."""
        self._scene, self._then = scene, then
        self._misses = Misses(
            _abandoned(
                "GitHub does not list the runner any more, and its worker goes on",
                "the job is over at GitHub: it was cancelled, or the connection was lost",
            )
        )
        now = time.monotonic()
        self._end = now + (scene.plan.job_timeout or math.inf)
        self._look_at = now + JOB_LOOK
        self._worker_gone = math.inf
        scene.engine.job_begins()
        scene.figures.mark("job_started")
        scene.figures.note_listener(scene.listener.pids()[0])
        log.info("job.started", "a job has begun", job=scene.listener.job_name())

    @property
    def moment(self) -> float:
        """The next look at the worker, the end of the job's time, or of the listener's."""
        return min(time.monotonic() + BUSY_LOOK, self._end, self._worker_gone + LEAVE_TIME)

    def news(self) -> bool:
        """Return whether the engine has ended; the caller waits for the listener's end anyway."""
        return self._scene.engine.is_news

    def look(self) -> Phase | None:
        """Check that the worker is alive, and that GitHub still lists the runner."""
        now = time.monotonic()
        self._scene.engine.tell_death()
        listener, worker = self._scene.listener.pids()
        if worker is None:
            return self._after_worker(now)
        self._scene.figures.note_listener(listener)
        self._worker_gone = math.inf
        if now >= self._end:
            seconds = self._scene.plan.job_timeout
            raise _abandoned(
                f"the job has not ended within RUNNER_JOB_TIMEOUT ({seconds:g} s)",
                "the job is cancelled; give it more time, or look at what it waits for",
            )
        if now >= self._look_at and self._scene.remover.can_ask:
            self._look_at_github(now)
        return self

    def _look_at_github(self, now: float) -> None:
        missed = self._misses.count(missed=self._scene.remover.look() == "no")
        self._look_at = now + (SECOND_LOOK if missed else JOB_LOOK)
        if missed:
            self._scene.state_file.stuck("GitHub does not list the runner of a running job")
            log.warning(
                "job.unlisted", "GitHub does not list the runner although its worker goes on"
            )
        else:
            self._scene.state_file.stuck("")

    def _after_worker(self, now: float) -> Phase:
        """Wait for the end of an ephemeral listener; interrupt it, or kill it, if it stays."""
        if not self._scene.plan.ephemeral:
            from entrypoint.lifecycle import outcome  # only here, after a job

            outcome.tell_result(self._scene.listener, self._scene.figures)
            self._scene.figures.forget_job()
            return self._then()
        self._scene.figures.mark("job_ended")
        if self._worker_gone == math.inf:
            self._worker_gone = now
        if now >= self._worker_gone + LEAVE_TIME:
            if self._scene.listener.has_listener():
                message = "the worker has ended, and the listener stays: it is interrupted"
            else:
                message = "the worker has ended, and run.sh stays: it is woken"
            self._scene.state_file.stuck(message)
            log.warning("listener.stays", message)
            self._scene.listener.interrupt()
            self._scene.pid_1.wait_for(
                self._scene.listener.ended, time.monotonic() + INTERRUPT_TIME
            )
            if not self._scene.listener.ended():
                log.warning("listener.killed", "the runner did not leave and is killed")
                self._scene.listener.kill()
        return self


def _abandoned(message: str, hint: str) -> Abandoned:
    return Abandoned(Failure(ExitCode.RUNNER, message, hint))
