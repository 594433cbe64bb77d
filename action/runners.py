"""The runners of one launch, and the file through which a repeated step finds them."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import time
from dataclasses import dataclass, field
from typing import Any, Sequence

from action.context import Step
from action.tasks import Task
from action.workflow import temporary_directory

# Inputs that do not change what is started.
_NOT_OF_THE_LAUNCH = ("wait", "timeout", "debug", "mode")
_JOB = ("GITHUB_RUN_ID", "GITHUB_RUN_ATTEMPT", "GITHUB_JOB", "GH_RUNNER_JOB_INDEX")


@dataclass
class Slot:
    """One runner: its registration and its task, as far as they are known."""

    name: str
    attempt: int = 0
    """How often ECS was asked for a task and had no room: part of the clientToken."""
    runner_id: int = 0
    jit: str = ""
    arn: str = ""
    registering: bool = False
    """GitHub has been asked for a registration, and its answer is not here."""
    starting: bool = False
    """ECS has been asked for a task, and its answer is not here."""
    started: float = 0.0
    task: Task | None = None
    running: bool = False
    online: bool = False
    obstacle: str = ""
    """Why it was not started yet."""

    @property
    def task_id(self) -> str:
        """The last part of the task's ARN."""
        return self.arn.rpartition("/")[2]


@dataclass
class Runners:
    """All runners of a launch; they share the label `id`."""

    id: str
    mark: str
    """What makes the launch's tasks findable: the `startedBy` of each."""
    slots: Sequence[Slot]
    path: str
    adopted: bool = False
    """Whether an earlier run of the same step has begun with them."""
    created: float = field(default_factory=time.monotonic)

    def save(self) -> None:
        """Write what a repeated step needs to know; nothing in it is secret."""
        body = {
            "id": self.id,
            "slots": [[slot.name, slot.attempt, slot.runner_id, slot.arn] for slot in self.slots],
        }
        new = self.path + ".new"
        with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump(body, file)
        os.replace(new, self.path)

    def forget(self) -> None:
        """Delete that file, so that a repeated step starts new runners."""
        try:
            os.unlink(self.path)
        except FileNotFoundError:
            pass  # nothing was started


def plan(step: Step) -> Runners:
    """Return the runners to start, or those of an earlier run of this step in the same job."""
    path = os.path.join(
        temporary_directory(step.environ), f"gh-runner-launch-{_fingerprint(step)}.json"
    )
    saved = _saved(path, step.inputs.count)
    launch_id = saved["id"] if saved else f"{step.inputs.name}-{secrets.token_hex(4)}"
    mark = step.run_mark + launch_id.rpartition("-")[2]
    if saved:
        slots = [
            Slot(name, attempt, runner_id, arn=arn)
            for name, attempt, runner_id, arn in saved["slots"]
        ]
        return Runners(launch_id, mark, slots, path, adopted=True)
    return Runners(launch_id, mark, [Slot(name) for name in _names(launch_id, step)], path)


def _names(launch_id: str, step: Step) -> list[str]:
    count = step.inputs.count
    return [launch_id] if count == 1 else [f"{launch_id}-{n}" for n in range(1, count + 1)]


def _fingerprint(step: Step) -> str:
    """Return a value that is the same if a step is repeated in its job, and different otherwise."""
    given = {key: text for key, text in step.inputs.given.items() if key not in _NOT_OF_THE_LAUNCH}
    job = [step.environ.get(name, "") for name in _JOB]
    return hashlib.sha256(json.dumps([job, given]).encode()).hexdigest()[:16]


def _saved(path: str, count: int) -> dict[str, Any] | None:
    try:
        with open(path, encoding="utf-8") as file:
            body: dict[str, Any] = json.load(file)
    except (OSError, ValueError):
        return None
    return body if len(body.get("slots", [])) == count else None
