"""The things that GitHub knows: scopes, runners, groups, tokens, jobs."""

import secrets
import string
import time
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

MAXIMUM_NAME = 64
NAME_TOO_LONG = "Validation Failed: name is too long (maximum is 64 characters)"
ALPHABET = string.ascii_uppercase + "234567"


def runner_token() -> str:
    """Make a token that looks like GitHub's registration and remove tokens."""
    return "A" + "".join(secrets.choice(ALPHABET) for _ in range(28))


def timestamp(seconds: float) -> str:
    """Return a time as GitHub's REST API writes it."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def scope_of_url(url: str) -> str:
    """Return the scope of a runner's URL, e.g. repos/acme/shop; ValueError if it has none."""
    path = [part for part in url.partition("://")[2].partition("/")[2].split("/") if part]
    if len(path) == 1:
        return f"orgs/{path[0]}".lower()
    if len(path) == 2:
        prefix = "" if path[0].lower() == "enterprises" else "repos/"
        return f"{prefix}{path[0]}/{path[1]}".lower()
    raise ValueError(url)


def serves(runner_scope: str, job_scope: str) -> bool:
    """Return whether runners of one scope do the jobs of another.

    An organization's runners do the jobs of its repositories, an enterprise's do all.
    """
    if job_scope in ("", runner_scope) or runner_scope.startswith("enterprises/"):
        return True
    return job_scope.startswith(runner_scope.replace("orgs/", "repos/", 1) + "/")


@dataclass
class RunnerToken:
    """A registration or remove token of one scope."""

    token: str
    kind: str
    scope: str
    expires: float


@dataclass
class Group:
    """A runner group of an organization or enterprise."""

    id: int
    name: str
    default: bool = False


@dataclass
class Runner:
    """A registered runner and the session of its listener."""

    id: int
    name: str
    scope: str
    labels: list[dict[str, str]]
    group_id: int = 1
    ephemeral: bool = False
    version: str = ""
    key: str = ""
    client_id: str = ""
    work_folder: str = "_work"
    jit: bool = False
    job_id: str = ""
    session_id: str = ""
    session_seen: float = 0.0
    listening: bool = False

    @property
    def busy(self) -> bool:
        """Whether GitHub has handed out a job to it."""
        return bool(self.job_id)

    def has(self, labels: list[str]) -> bool:
        """Return whether the runner has all these labels."""
        own = {label["name"].lower() for label in self.labels}
        return own >= {label.lower() for label in labels}

    def as_github(self, online: bool) -> dict[str, Any]:
        """Return the runner as the REST API shows it."""
        kinds = {"system": "read-only"}
        labels = [
            {"id": number, "name": label["name"], "type": kinds.get(label["type"], "custom")}
            for number, label in enumerate(self.labels, 1)
        ]
        return {
            "id": self.id,
            "name": self.name,
            "os": "Linux" if self.version else "unknown",
            "status": "online" if online else "offline",
            "busy": self.busy,
            "ephemeral": self.ephemeral,
            "labels": labels,
            "runner_group_id": self.group_id,
            "version": self.version,
        }


# The ways in which a job can hang; `simulator.Simulator.queue_job` explains each.
HANGS = (
    "refused",
    "taken",
    "unanswered",
    "never-reads",
    "never-leaves",
    "listener-stays",
)


@dataclass
class Job:
    """A job, from the queue to its result.

    `hang` is one of HANGS, or empty. `worker_start` (seconds) replaces the runner's own time.
    `container` is the image of the job's container; `services` are images by the services' names;
    `dockerfile` is the text of the Dockerfile of an action.
    """

    id: str
    name: str
    run: str
    always: str
    labels: list[str]
    scope: str
    hang: str = ""
    worker_start: float | None = None
    container: str = ""
    services: dict[str, str] = field(default_factory=dict)
    dockerfile: str = ""
    token: str = field(default_factory=lambda: secrets.token_hex(16))
    status: str = "queued"
    result: str | None = None
    runner: str | None = None
    runner_id: int | None = None
    worker_pid: int | None = None
    log: str = ""
    cancel: bool = False
    cancel_for_ever: bool = False
    lease: float = 0.0
    queued: float = field(default_factory=time.time)
    started: float | None = None
    completed: float | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the job as the control API shows it."""
        return {name: value for name, value in asdict(self).items() if name != "token"}
