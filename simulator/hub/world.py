"""The simulated GitHub: its state, and what can happen to it."""

import asyncio
import math
import secrets
import time
import uuid
from collections import defaultdict, deque
from dataclasses import dataclass, field
from typing import Any

from simulator.hub import refusals
from simulator.hub.model import Group, Job, Runner, RunnerToken, runner_token, serves
from simulator.hub.pulse import EventLog, Pulse


@dataclass
class Settings:
    """What the control API can change; times are in seconds, and a limit of 0 is none.

    GitHub fails a job whose lock was not renewed for `lease_seconds`, and drops its runner. It does
    the same `cancel_seconds` after a cancellation for ever. A credential has `points_per_minute` (a
    GET costs 1, any other request 5) and `concurrent_requests`. A repository, an organization or an
    enterprise takes `registrations` runners in `registrations_seconds`.
    """

    poll_seconds: float = 50.0
    token_seconds: float = 3600.0
    session_seconds: float = 60.0
    lease_seconds: float = 600.0
    cancel_seconds: float = 300.0
    points_per_minute: int = 900
    concurrent_requests: int = 100
    registrations: int = 1500
    registrations_seconds: float = 300.0
    ghes_version: str = "3.17.0"
    runner_version: str = "2.336.0"


@dataclass
class Deprecation:
    """A runner version that GitHub refuses, at the `poll` or at the opening of a `session`."""

    version: str
    told_at: str = "poll"
    registration_at: str | None = None
    runtime_at: str | None = None


@dataclass
class World:
    """Runners, tokens, groups and jobs of all scopes."""

    events: EventLog
    settings: Settings = field(default_factory=Settings)
    runners: dict[int, Runner] = field(default_factory=dict)
    jobs: dict[str, Job] = field(default_factory=dict)
    tokens: dict[str, RunnerToken] = field(default_factory=dict)
    groups: list[Group] = field(default_factory=lambda: [Group(1, "Default", default=True)])
    access_tokens: dict[str, int] = field(default_factory=dict)
    deprecations: dict[str, Deprecation] = field(default_factory=dict)
    # Runners that GitHub has dropped without a word: their listeners' polls are answered as before.
    ghosts: dict[int, Runner] = field(default_factory=dict)
    changed: Pulse = field(default_factory=Pulse)
    next_runner_id: int = 1
    registered_at: dict[str, deque[float]] = field(default_factory=lambda: defaultdict(deque))

    def make_token(self, kind: str, scope: str) -> RunnerToken:
        """Make a registration or remove token for a scope."""
        expires = time.time() + self.settings.token_seconds
        made = RunnerToken(runner_token(), kind, scope, expires)
        self.tokens[made.token] = made
        return made

    def token_is_good(self, token: str, scope: str, kinds: tuple[str, ...]) -> bool:
        """Return whether a token is known, valid, of this scope and of one of these kinds."""
        found = self.tokens.get(token)
        return (
            found is not None
            and found.kind in kinds
            and found.scope == scope
            and found.expires > time.time()
        )

    def expire_tokens(self, kinds: tuple[str, ...]) -> int:
        """Expire all tokens of these kinds, and return their number."""
        chosen = [token for token in self.tokens.values() if token.kind in kinds]
        for token in chosen:
            token.expires = 0.0
        return len(chosen)

    def group(self, group_id: int) -> Group | None:
        """Return the runner group with this id."""
        return next((group for group in self.groups if group.id == group_id), None)

    def in_scope(self, scope: str, name: str | None = None) -> list[Runner]:
        """Return the runners of a scope: all, or those of this name."""
        return [
            runner
            for runner in self.runners.values()
            if runner.scope == scope and (name is None or runner.name.lower() == name.lower())
        ]

    def add_runner(self, **fields: Any) -> Runner:
        """Register a runner; Refusal if the name is taken (409) or too many have come (403)."""
        self._limit_registrations(fields["scope"])
        if self.in_scope(fields["scope"], fields["name"]):
            message = f"Already exists - A runner with the name {fields['name']} already exists."
            raise refusals.Refusal(409, message)
        runner = Runner(id=self.next_runner_id, client_id=str(uuid.uuid4()), **fields)
        self.next_runner_id += 1
        self.runners[runner.id] = runner
        self._tell("runner_registered", runner)
        return runner

    def _limit_registrations(self, scope: str) -> None:
        now, limit = time.monotonic(), self.settings.registrations
        recent = self.registered_at[scope]
        while recent and now - recent[0] > self.settings.registrations_seconds:
            recent.popleft()
        if limit and len(recent) >= limit:
            wait = self.settings.registrations_seconds - (now - recent[0])
            raise refusals.secondary_rate_limited(math.ceil(wait))
        recent.append(now)

    def replace_runner(self, **fields: Any) -> Runner:
        """Register a runner in place of the one of the same name, and in its group."""
        old = self.in_scope(fields["scope"], fields["name"])
        for runner in old:
            fields["group_id"] = runner.group_id
            self.delete_runner(runner)
        return self.add_runner(**fields)

    def delete_runner(self, runner: Runner) -> None:
        """Take a runner off the list; Refusal (422) if it is busy."""
        if runner.busy:
            raise refusals.busy(runner.name)
        self.drop_runner(runner, "deleted")

    def drop_runner(self, runner: Runner, reason: str, *, ghost: bool = False) -> None:
        """Take a runner off the list, busy or not.

        The listener of a `ghost` is not told: its polls are answered as before.
        """
        if self.runners.pop(runner.id, None) is not None:
            if ghost:
                self.ghosts[runner.id] = runner
            self._tell("runner_removed", runner, reason=reason)
            self.changed.beat()

    def is_online(self, runner: Runner) -> bool:
        """Return whether a listener has used the runner's session lately."""
        age = time.monotonic() - runner.session_seen
        return bool(runner.session_id) and age < self.settings.session_seconds

    def open_session(self, runner: Runner, pid: int) -> str:
        """Open a session and return its id; Refusal (409) if another one is in use."""
        if self.is_online(runner):
            raise refusals.Refusal(409, "A session for this runner already exists.")
        runner.session_id = str(uuid.uuid4())
        runner.session_seen = time.monotonic()
        runner.listening = False
        self._tell("session_opened", runner, pid=pid)
        return runner.session_id

    def note_poll(self, runner: Runner) -> None:
        """Note that the listener asks for messages."""
        runner.session_seen = time.monotonic()
        if not runner.listening:
            runner.listening = True
            self._tell("listening", runner)

    def close_session(self, runner: Runner) -> None:
        """Note that the listener has logged out."""
        runner.session_id = ""
        self._tell("session_closed", runner)

    def lose_session(self, runner: Runner) -> None:
        """Note that the listener has hung up in the middle of its poll."""
        runner.session_seen = time.monotonic()
        self._tell("connection_lost", runner)

    def queue_job(self, job: Job) -> Job:
        """Put a job into the queue."""
        self.jobs[job.id] = job
        self.events.add("job_queued", job_id=job.id, job=job.name)
        self.changed.beat()
        return job

    def hand_out(self, runner: Runner) -> Job | None:
        """Hand the next job to a runner, which is busy from now on; None if there is none."""
        for job in self.jobs.values():
            fits = runner.has(job.labels) and serves(runner.scope, job.scope)
            if job.status == "queued" and fits:
                job.status = "in_progress"
                job.started = time.time()
                job.runner, job.runner_id = runner.name, runner.id
                runner.job_id = job.id
                self.extend_lease(job)
                self._tell_job("job_assigned", job)
                return job
        return None

    def start_job(self, job: Job, pid: int) -> None:
        """Note that a worker has begun with the job."""
        job.worker_pid = pid
        self._tell_job("worker_started", job, pid=pid)

    def log_job(self, job: Job, text: str) -> None:
        """Note what a step has printed."""
        job.log += text
        self._tell_job("job_output", job, text=text)

    def complete_job(self, job: Job, result: str) -> None:
        """End the job, and drop its runner if it is ephemeral."""
        if job.status == "completed":
            return
        job.status, job.result, job.completed = "completed", result, time.time()
        runner = self.runners.get(job.runner_id or 0)
        if runner is not None and runner.job_id == job.id:
            runner.job_id = ""
        self._tell_job("job_completed", job, result=result)
        if runner is not None and runner.ephemeral:
            self.drop_runner(runner, "ephemeral")

    def refuse_job(self, job: Job, runner: Runner) -> None:
        """Refuse a runner the job that a message told of, and drop it as a ghost if ephemeral.

        A job that another runner has taken counts as done.
        """
        runner.job_id = ""
        if runner.ephemeral:
            self.drop_runner(runner, "refused", ghost=True)
        self.complete_job(job, "cancelled" if job.hang == "refused" else "succeeded")

    def extend_lease(self, job: Job) -> None:
        """Give the runner the lock of the job for `lease_seconds` from now on."""
        seconds = self.settings.lease_seconds
        job.lease = time.time() + seconds
        asyncio.get_running_loop().call_later(seconds, self._end_lease, job, job.lease)

    def _end_lease(self, job: Job, lease: float) -> None:
        if job.lease == lease and job.status == "in_progress":
            self._tell_job("lease_ended", job)
            self._give_up(job, "failed")

    def _give_up(self, job: Job, result: str) -> None:
        """End a job without its runner, and drop that one if it is ephemeral."""
        runner = self.runners.get(job.runner_id or 0)
        if runner is not None and runner.ephemeral:
            self.drop_runner(runner, "given up", ghost=True)
        self.complete_job(job, result)

    def cancel_job(self, job: Job, *, for_ever: bool = False) -> None:
        """Cancel a job; its runner is told once, or with `for_ever` several times a second."""
        job.cancel, job.cancel_for_ever = True, for_ever
        if job.status == "queued":
            self.complete_job(job, "cancelled")
        elif for_ever:
            seconds = self.settings.cancel_seconds
            asyncio.get_running_loop().call_later(seconds, self._end_cancellation, job)
        self.changed.beat()

    def _end_cancellation(self, job: Job) -> None:
        if job.status == "in_progress":
            self._give_up(job, "cancelled")

    def new_access_token(self, runner: Runner) -> str:
        """Make the token of a listener that has logged in."""
        token = secrets.token_hex(20)
        self.access_tokens[token] = runner.id
        return token

    def _tell(self, kind: str, runner: Runner, **data: Any) -> None:
        self.events.add(kind, runner=runner.name, runner_id=runner.id, scope=runner.scope, **data)

    def _tell_job(self, kind: str, job: Job, **data: Any) -> None:
        self.events.add(
            kind, job_id=job.id, job=job.name, runner=job.runner, runner_id=job.runner_id, **data
        )
