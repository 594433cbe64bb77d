"""What was seen of one life from outside."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.chaos.plan import Plan

STOP_TIMEOUT = 9.0  # the default of RUNNER_STOP_TIMEOUT
MARGIN = 1.0  # seconds; `docker stop` waits ten
Event = dict[str, Any]

# The phases by the events that begin them. A stop comes in the last phase that has begun.
PHASES = (
    ("blocked", "", "PID 1 starts"),
    ("request", "/(registration-token|generate-jitconfig)$", "asks for a token"),
    ("request", "/actions/runner-registration$", "config.sh"),
    ("runner_registered", "", "registered, listener not there"),
    ("session_opened", "", "idle"),
    ("request", "/remove-token$", "deregistration"),
    ("job_assigned", "", "a job arrives"),
    ("worker_started", "", "in a job"),
    ("job_completed", "", "after a job"),
    ("runner_removed", "", "off the list"),
)


@dataclass(frozen=True)
class Stop:
    """A SIGINT or SIGTERM that has reached PID 1, and when (time.time())."""

    time: float
    signum: int
    phase: str


@dataclass
class Story:
    """One life; moments are of time.time(), durations in seconds."""

    plan: Plan
    began: float = 0.0
    ended: float = 0.0
    code: int | None = None  # None: the life was killed
    stops: list[Stop] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    jobs: list[dict[str, Any]] = field(default_factory=list)
    runners: list[dict[str, Any]] = field(default_factory=list)
    survivors: list[str] | None = None  # None: PID 1 has not noted them
    output: str = ""
    late: float = 0.0  # how late this machine was during the stop

    @property
    def job(self) -> dict[str, Any] | None:
        """The job, if one was queued."""
        return self.jobs[0] if self.jobs else None

    @property
    def stop_seconds(self) -> float:
        """The time from the first stop to the end."""
        return self.ended - self.stops[0].time if self.stops else 0.0

    @property
    def time_allowed(self) -> float:
        """The time that the README promises from the first stop to the end."""
        drain = self.plan.seconds("RUNNER_DRAIN_TIMEOUT", 0) if self.first("job_assigned") else 0.0
        if len(self.stops) > 1:
            drain = min(drain, self.stops[1].time - self.stops[0].time)
        return self.plan.seconds("RUNNER_STOP_TIMEOUT", STOP_TIMEOUT) + drain + MARGIN

    def first(self, kind: str, path: str = "", after: float = 0.0) -> Event | None:
        """Return the first event of a kind after a moment."""
        for event in self.events:
            fits = event["kind"] == kind and re.search(path, event.get("path", ""))
            if fits and event["time"] >= after:
                return event
        return None

    def phase(self) -> str:
        """Return the phase in which the life is, by the events so far."""
        known = [name for kind, path, name in PHASES if self.first(kind, path)]
        return known[-1] if known else ""

    def faults(self, after: float) -> int:
        """Return how many requests have met a fault after a moment."""
        return sum(event["kind"] == "fault" and event["time"] >= after for event in self.events)

    def read(self, directory: Path) -> None:
        """Read what the life has left in its directory."""
        self.output = (directory / "log").read_text(errors="replace")
        note = directory / "alive"
        self.survivors = note.read_text().splitlines() if note.exists() else None
