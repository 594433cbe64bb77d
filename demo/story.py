"""The timeline of a life, made of GitHub's events and of the program's log."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

US = "gh-runner"  # the User-Agent of the requests of gh-runner
PID_1, GITHUB, RUNNER, JOB = "PID 1", "GitHub", "runner", "job"
# Each phase begins with a mark.
PHASES = {
    "started": "PID 1: settings, token",
    "asked": "config.sh: register",
    "registered": "run.sh: connect",
    "online": "wait for a job",
    "assigned": "run and report the job",
    "stopped": "stop",
    "gone": "leave",
}
MARKS = {
    "session_opened": "online",
    "job_assigned": "assigned",
    "job_output": "printed",
    "runner_removed": "gone",
}
TOLD = {
    "runner_registered": (GITHUB, "{runner} is registered, id {runner_id}"),
    "session_opened": (GITHUB, "{runner} is online"),
    "session_closed": (GITHUB, "{runner} is offline"),
    "job_queued": (GITHUB, "the job {job} is queued"),
    "worker_started": (RUNNER, "Runner.Worker begins with the job"),
    "job_completed": (GITHUB, "the job is reported: {result}"),
    "runner_removed": (GITHUB, "{runner} is off the list"),
}
# Fields of the log that only programs need.
_FOR_PROGRAMS = (
    *("severity_text", "severity_number", "event_name", "code", "figures", "limit", "name", "id"),
    *("result", "reported_by"),
)


@dataclass(frozen=True)
class Moment:
    """One line of the timeline; `at` is in seconds since the epoch."""

    at: float
    who: str
    text: str


class Story:
    """The timeline, and the marks in it that separate the phases."""

    def __init__(self, started: float) -> None:
        self.marks = {"started": started}
        self.meaning = ""
        self.job_log = ""
        self.job_result = ""

    def mark(self, name: str, at: float) -> None:
        """Keep the first time at which something has happened."""
        self.marks.setdefault(name, at)

    def phases(self, now: float) -> list[tuple[str, float, float]]:
        """Return the phases so far: title, begin and end in seconds after the start."""
        zero = self.marks["started"]
        begins = sorted((at, PHASES[name]) for name, at in self.marks.items() if name in PHASES)
        ends = [at for at, _ in begins[1:]] + [self.marks.get("ended", now)]
        return [
            (title, begin - zero, end - zero)
            for (begin, title), end in zip(begins, ends, strict=True)
        ]

    def hear(self, event: dict[str, Any], ours: set[str]) -> Iterator[Moment]:
        """Tell an event of the simulator; `ours` are the ids of the requests of gh-runner."""
        kind, at = event["kind"], event["time"]
        if kind == "answer" and event["request"] in ours:
            self.mark("asked", at)
            call = f"{event['method']} {event['path']}"
            yield Moment(at, PID_1, f"{call} → {event['status']}")
        if kind in MARKS:
            self.mark(MARKS[kind], at)
        if kind == "job_output":
            self.job_log += event["text"]
            yield from (Moment(at, JOB, line) for line in event["text"].splitlines())
        if kind == "job_completed":
            self.job_result = event["result"]
        if kind in TOLD:
            who, text = TOLD[kind]
            yield Moment(at, who, text.format_map(event))

    def read(self, lines: list[str], now: float) -> Iterator[Moment]:
        """Tell lines of the container's output, which were read at `now`, the last one first.

        Lines of gh-runner's log have a time. A line of the runner has none; it was printed before
        the line that follows it.
        """
        for line in reversed(lines):
            moment = self._stamped(line) or Moment(now, RUNNER, line)
            now = moment.at
            yield moment

    def _stamped(self, line: str) -> Moment | None:
        try:
            record = json.loads(line)
            at = datetime.fromisoformat(record.pop("timestamp")).timestamp()
        except (ValueError, KeyError, AttributeError, TypeError):
            return None
        if record.get("source") == "runner":
            return Moment(at, RUNNER, record["body"])
        if record["event_name"] == "runner.registered":
            self.mark("registered", at)
        if record["event_name"] == "life.ended":
            self.meaning = record["body"].partition(": ")[2]
        for name in _FOR_PROGRAMS:
            record.pop(name, None)
        words = [record.pop("body"), *(f"{name}={value}" for name, value in record.items())]
        return Moment(at, PID_1, "  ".join(words))
