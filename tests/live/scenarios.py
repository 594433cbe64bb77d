"""What must hold for each runner, whether it is registered on github.com or on the simulator."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from tests.image.engine import Container, Engine

STOP_SECONDS = 10  # then `docker stop` kills
PATIENCE = 300.0  # seconds that GitHub may take for a job to be handed out or to have a result


Scenario = Callable[["Stage"], None]


def wait_until(what: str, holds: Callable[[], bool], pause: float = 3.0) -> None:
    """Look every `pause` seconds until `holds` is true; AssertionError after PATIENCE."""
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline, f"not within {PATIENCE:.0f} s: {what}"
        time.sleep(pause)


class Hub(Protocol):
    """The part of GitHub that the scenarios use."""

    def runners(self) -> dict[str, str]:
        """Return the status of each runner on the list, by its name."""

    def dispatch(self, label: str, kind: str) -> None:
        """Queue a job of that kind for the runner with this label."""

    def job(self, label: str) -> tuple[str, str]:
        """Return the status of the job for this label, and its conclusion, each "" if none."""


@dataclass(frozen=True)
class Stage:
    """A hub, and the way to start a container whose runner registers there."""

    hub: Hub
    engine: Engine
    options: Sequence[str]  # of `docker run`, and the image
    name: str  # no other runner's name or label begins with it
    pause: float = 3.0  # seconds between two looks

    @contextmanager
    def runner(self, scenario: str) -> Iterator[tuple[Container, str]]:
        """Start a container; yield it and the name of its runner, which is also its label."""
        name = f"{self.name}-{scenario}"
        settings = ["--env", f"RUNNER_NAME={name}", "--env", f"RUNNER_LABELS={name}"]
        container = Container(self.engine, *settings, *self.options)
        try:
            yield container, name
        finally:
            container.remove()

    def until(self, what: str, holds: Callable[[], bool]) -> None:
        """Wait until `holds` is true; AssertionError if it does not become so."""
        wait_until(what, holds, self.pause)

    def listed(self, name: str) -> list[str]:
        """Return the status of each listed runner that a container of this stage made."""
        return [status for known, status in self.hub.runners().items() if known.startswith(name)]


def job(stage: Stage, kind: str = "quick") -> None:
    """A runner takes a job, which succeeds; the container leaves with 0 and is off the list."""
    with stage.runner(kind) as (container, name):
        stage.hub.dispatch(name, kind)
        code = container.wait(timeout=PATIENCE)
        assert code == 0, container.logs()
        stage.until("the job succeeds", lambda: stage.hub.job(name)[1] == "success")
        stage.until("the runner is off the list", lambda: stage.listed(name) == [])


def idle(stage: Stage) -> None:
    """A runner that waits for a job is stopped: it leaves with 143 and is off the list."""
    with stage.runner("idle") as (container, name):
        stage.until("the runner is online", lambda: stage.listed(name) == ["online"])
        _stopped(container)
        assert stage.listed(name) == []


def endless(stage: Stage) -> None:
    """A runner is stopped during a job that would never end; the job still gets a result."""
    with stage.runner("endless") as (container, name):
        stage.hub.dispatch(name, "endless")
        stage.until("the job runs", lambda: stage.hub.job(name)[0] == "in_progress")
        _stopped(container)
        stage.until("the job has a result", lambda: stage.hub.job(name)[0] == "completed")
        assert stage.hub.job(name)[1] in {"cancelled", "failure"}
        stage.until("the runner is off the list", lambda: stage.listed(name) == [])


def engine(stage: Stage) -> None:
    """A job runs a container with the engine that is inside the runner's own container."""
    job(stage, "engine")


def _stopped(container: Container) -> None:
    """Stop a container as `docker stop` does; it must not have been killed."""
    seconds = container.stop(STOP_SECONDS)
    assert container.wait() == 143, container.logs()
    assert seconds < STOP_SECONDS
