"""What will happen in one life, and when."""

import hashlib
from dataclasses import asdict, dataclass, field
from typing import Any

from tests.chaos.jobs import HANGING

BLOCKED, STOPPED = "blocked", "stopped"  # our own events: PID 1 blocks signals; a stop


@dataclass(frozen=True)
class Moment:
    """So many seconds after the first event of a kind whose members match."""

    kind: str
    offset: float = 0.0
    match: dict[str, Any] = field(default_factory=dict)

    def after(self, seconds: float) -> "Moment":
        """Return a later moment, or an earlier one, but none before the event."""
        return Moment(self.kind, max(0.0, round(self.offset + seconds, 4)), self.match)


@dataclass(frozen=True)
class Action:
    """What is done at a moment; `value` is a signal's number, a job's shape or a fault."""

    at: Moment
    what: str
    value: Any


@dataclass
class Plan:
    """One life."""

    seed: int
    phase: str = ""
    scale: float = 0.0
    times: dict[str, float] = field(default_factory=dict)
    poll_seconds: float = 50.0
    settings: dict[str, str] = field(default_factory=dict)
    dirty: bool = False
    token_file: bool = False
    lease_seconds: float = 600.0
    jit_given: bool = False  # the runner is a controller's, which alone removes it
    honest: list[int] = field(default_factory=list)  # exit codes that are true after its faults
    actions: list[Action] = field(default_factory=list)

    @property
    def token(self) -> str:
        """The credential; in plans of odd seeds its form is none of GitHub's."""
        digest = hashlib.sha1(f"chaos {self.seed}".encode()).hexdigest()
        return digest if self.seed % 2 else f"ghp_{digest[:36]}"

    @property
    def kills(self) -> bool:
        """Whether the plan kills a process of the runner, which fails a job."""
        return any(action.what == "kill" for action in self.actions)

    @property
    def kinds(self) -> set[str]:
        """The kinds of things in it: its phase, its settings, the shapes of jobs, each fault."""
        found = {self.phase, *self.settings, "given" if self.jit_given else "made"}
        for action in self.actions:
            value = action.value
            if isinstance(value, dict):  # a fault; the length of a delay makes no kind
                value = sorted((name, str(v)) for name, v in value.items() if name != "delay")
            found.add(f"{action.what} {value}")
        return found

    @property
    def hangs(self) -> bool:
        """Whether the runner hangs with its job."""
        return any(action.what == "job" and action.value in HANGING for action in self.actions)

    def add(self, at: Moment, what: str, value: Any) -> None:
        """Add an action."""
        self.actions.append(Action(at, what, value))

    def seconds(self, setting: str, default: float) -> float:
        """Return the value of a setting that is a number of seconds."""
        return float(self.settings.get(setting, default))

    def __str__(self) -> str:
        """Return the whole plan, with a line for each action."""
        facts = {k: v for k, v in asdict(self).items() if (v or k == "seed") and k != "actions"}
        lines = [", ".join(f"{k}={v}" for k, v in facts.items())]
        for action in sorted(self.actions, key=lambda action: action.at.offset):
            where = " ".join([action.at.kind, *map(str, action.at.match.values())])
            lines.append(f"  {where} +{action.at.offset:.3f} s: {action.what} {action.value}")
        return "\n".join(lines)


START = Moment(BLOCKED)
TOKEN = Moment("request", match={"path": "/registration-token"})
CONFIG = Moment("request", match={"path": "/actions/runner-registration"})
REGISTERED = Moment("runner_registered")
LISTENING = Moment("session_opened")
ASSIGNED = Moment("job_assigned")
WORKING = Moment("worker_started")
COMPLETED = Moment("job_completed")
TOLD = Moment(STOPPED)  # the first stop
REMOVING = Moment("request", match={"path": "/remove-token"})
DELETING = Moment("request", match={"method": "DELETE", "path": "/actions/runners/"})
