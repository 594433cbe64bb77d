"""Plays ECS's agent: Docker runs tasks as their definition and RunTask say."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Self

from simulator import Distribution
from tests.image.engine import Container, Engine

Body = dict[str, Any]


def variables(definition: Body, container: str, overrides: Body) -> dict[str, str]:
    """Return a container's environment: the definition's, overridden by RunTask's."""
    [known] = [item for item in definition["containerDefinitions"] if item["name"] == container]
    found = {item["name"]: item["value"] for item in known.get("environment", [])}
    for override in overrides.get("containerOverrides", []):
        if override["name"] == container:
            found |= {item["name"]: item["value"] for item in override.get("environment", [])}
    return found


def options(definition: Body, container: str, environment: Mapping[str, str]) -> list[str]:
    """Return the options of `docker run` for a container of a task definition."""
    [known] = [item for item in definition["containerDefinitions"] if item["name"] == container]
    found = [f"--stop-timeout={known.get('stopTimeout', 30)}"]
    linux = known.get("linuxParameters", {})
    assert not linux.get("initProcessEnabled")
    found += [f"--cap-drop={name}" for name in linux.get("capabilities", {}).get("drop", [])]
    found += [f"--env={name}={value}" for name, value in environment.items()]
    if check := known.get("healthCheck"):
        found.append("--health-cmd=" + " ".join(check["command"][1:]))
        found.append(f"--health-interval={check['interval']}s")
    return found


class Agent:
    """Starts every task that ECS lists, and stops it when ECS says so."""

    def __init__(self, ecs: Any, docker: Engine, cluster: str, usual: Sequence[str]) -> None:
        """`ecs` is botocore's client; `usual` are options, with the image at the end."""
        self._ecs, self._docker, self._cluster = ecs, docker, cluster
        self._usual = usual
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._work)
        self.containers: dict[str, Container] = {}
        self.tasks: dict[str, Body] = {}
        self.trouble: BaseException | None = None

    def __enter__(self) -> Self:
        """Begin to look for tasks."""
        self._thread.start()
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        """Stop looking, and remove all containers."""
        self._end.set()
        self._thread.join()
        for container in self.containers.values():
            container.remove()
        if self.trouble and not error:
            raise self.trouble

    def _work(self) -> None:
        stopped: set[str] = set()
        while not self._end.wait(0.2):
            try:
                self._look(stopped)
            except BaseException as error:  # noqa: BLE001 the test's thread raises it
                self.trouble = error
                return

    def _look(self, stopped: set[str]) -> None:
        arns = [
            arn
            for status in ("RUNNING", "STOPPED")
            for arn in self._ecs.list_tasks(cluster=self._cluster, desiredStatus=status)["taskArns"]
        ]
        if not arns:
            return
        for task in self._ecs.describe_tasks(cluster=self._cluster, tasks=arns)["tasks"]:
            arn = task["taskArn"]
            self.tasks[arn] = task
            if arn not in self.containers and task["desiredStatus"] == "RUNNING":
                self.containers[arn] = self._start(task)
            if task["desiredStatus"] == "STOPPED" and arn in self.containers and arn not in stopped:
                stopped.add(arn)
                self.containers[arn].stop(120)

    def _start(self, task: Body) -> Container:
        name = task["taskDefinitionArn"]
        definition = self._ecs.describe_task_definition(taskDefinition=name)["taskDefinition"]
        given = variables(definition, "runner", task["overrides"])
        return Container(self._docker, *options(definition, "runner", given), *self._usual)

    def wait_for(self, count: int, seconds: float = 60) -> list[Container]:
        """Wait until this number of tasks was started; return their containers."""
        end = time.monotonic() + seconds
        while len(self.containers) < count:
            assert self.trouble is None
            assert time.monotonic() < end
            time.sleep(0.1)
        return list(self.containers.values())


def configuration(url: str, directory: Path) -> list[str]:
    """Return options with which the image's runner finds the simulator from a container."""
    path = directory / "simulator.json"
    path.write_text(json.dumps(asdict(Distribution.scaled(url, 0, cancel_scale=1))))
    return ["--volume", f"{path}:/home/runner/bin/simulator.json:ro"]
