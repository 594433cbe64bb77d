"""The body of RunTask, made from the inputs and the file of parameters."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Iterator, Mapping

from action.definition import CREDENTIALS, Definition
from action.errors import Problem
from action.inputs import Inputs

LIMIT = 8192  # ECS's limit for all overrides of a task, in characters of JSON
JIT_VARIABLE = "RUNNER_JITCONFIG"

# A file of parameters may have RunTask's members, except those that the action sets.
_OWN = ("clientToken", "count", "startedBy")
_KNOWN = (
    *("capacityProviderStrategy", "cluster", "enableECSManagedTags", "enableExecuteCommand"),
    *("group", "launchType", "networkConfiguration", "overrides", "placementConstraints"),
    *("placementStrategy", "platformVersion", "propagateTags", "referenceId", "tags"),
    *("taskDefinition", "volumeConfigurations"),
)
_TASK_OVERRIDES = {"taskRoleArn": "task-role", "executionRoleArn": "execution-role"}
_CONTAINER_OVERRIDES = {"command": "command", "environmentFiles": "environment-files"}


def read_file(inputs: Inputs) -> dict[str, Any]:
    """Return the file of parameters; Problem if it is none, or has what is not allowed."""
    if not inputs.task_params_file:
        return {}
    try:
        with open(inputs.task_params_file, encoding="utf-8") as file:
            body = json.load(file)
    except FileNotFoundError:
        if inputs.params_file_may_lack:
            return {}
        raise _wrong("it does not exist: check the repository out before this step") from None
    except (OSError, ValueError) as error:
        raise _wrong(f"it cannot be read as JSON: {error}") from None
    if not isinstance(body, dict):
        raise _wrong("it holds no JSON object")
    found: dict[str, Any] = _without_empty(body)
    _check(found, inputs)
    return found


def _wrong(what: str) -> Problem:
    return Problem("task-params-file", what[0].upper() + what[1:] + ".")


def _without_empty(value: Any) -> Any:
    """Return a copy without empty members, which PasseiDireto's template has for unset ones."""
    if isinstance(value, dict):
        pairs = ((key, _without_empty(item)) for key, item in value.items())
        return {key: item for key, item in pairs if item not in (None, "", [], {})}
    if isinstance(value, list):
        return [_without_empty(item) for item in value]
    return value


def _check(body: Mapping[str, Any], inputs: Inputs) -> None:
    unknown = [key for key in body if key not in _KNOWN and key not in _OWN]
    if unknown:
        raise _wrong(f"RunTask has no {', '.join(unknown)}")
    try:
        forbidden = [name for name in _asked(body) if name not in inputs.allow_overrides]
    except (AttributeError, TypeError):
        raise _wrong("its overrides are no body of RunTask") from None
    if forbidden:
        names = ", ".join(dict.fromkeys(forbidden))
        raise Problem(
            "task-params-file",
            f"It overrides what a workflow does not choose: {names}.",
            f"If it shall, add allow-overrides: {names}",
        )


def _asked(body: Mapping[str, Any]) -> Iterator[str]:
    """Yield the words of `allow-overrides` that a body needs."""
    overrides = body.get("overrides") or {}
    yield from (name for key, name in _TASK_OVERRIDES.items() if overrides.get(key))
    for container in overrides.get("containerOverrides") or []:
        yield from (name for key, name in _CONTAINER_OVERRIDES.items() if container.get(key))
        for item in container.get("environment") or []:
            if item.get("name") in CREDENTIALS:
                raise _wrong(
                    f"{item['name']} would stand in the task's overrides, which everybody reads"
                    " that may describe tasks: give the input token instead"
                )
    if body.get("enableExecuteCommand"):
        yield "execute-command"
    for volume in body.get("volumeConfigurations") or []:
        if (volume.get("managedEBSVolume") or {}).get("roleArn"):
            yield "task-role"


@dataclass(frozen=True)
class Request:
    """RunTask's body for all runners of a launch; each runner adds its own variables."""

    body: Mapping[str, Any]
    container: str
    environment: Mapping[str, str] = field(default_factory=dict)

    def of(self, client_token: str, own: Mapping[str, str]) -> dict[str, Any]:
        """Return the body for one runner, with its variables; Problem if it exceeds the limit."""
        overrides = dict(self.body.get("overrides") or {})
        containers = [dict(item) for item in overrides.get("containerOverrides") or []]
        runner = next((item for item in containers if item.get("name") == self.container), None)
        if runner is None:
            runner = {"name": self.container}
            containers.append(runner)
        variables = {item["name"]: item["value"] for item in runner.get("environment") or []}
        variables.update(self.environment)
        variables.update(own)
        runner["environment"] = [
            {"name": name, "value": value} for name, value in variables.items()
        ]
        overrides["containerOverrides"] = containers
        _measure(overrides)
        return {**self.body, "overrides": overrides, "clientToken": client_token, "count": 1}


def make(
    inputs: Inputs,
    definition: Definition,
    parameters: Mapping[str, Any],
    network: Mapping[str, Any] | None,
    started_by: str,
) -> Request:
    """Return RunTask's body; an input overrides the file of parameters."""
    body = {key: value for key, value in parameters.items() if key not in _OWN}
    body["cluster"] = cluster(inputs, parameters)
    body["taskDefinition"] = definition.arn
    body["startedBy"] = started_by
    _place(body, inputs, definition)
    if network:
        body["networkConfiguration"] = {"awsvpcConfiguration": dict(network)}
    tags = {item["key"]: item["value"] for item in body.get("tags") or []}
    tags = {"Name": inputs.name, **tags, **{item["key"]: item["value"] for item in inputs.tags}}
    body["tags"] = [{"key": key, "value": value} for key, value in tags.items()]
    own = {
        "cpu": inputs.cpu,
        "memory": inputs.memory,
        "taskRoleArn": inputs.task_role,
        "executionRoleArn": inputs.execution_role,
    }
    given = {key: text for key, text in own.items() if text}
    body["overrides"] = {**(body.get("overrides") or {}), **given}
    return Request(body, definition.container, {"RUNNER_IDLE_TIMEOUT": str(inputs.idle_timeout)})


def cluster(inputs: Inputs, parameters: Mapping[str, Any]) -> str:
    """Return the cluster: the input's, the file's, or the default one."""
    return inputs.given["cluster"] or str(parameters.get("cluster") or inputs.cluster)


def task_definition(inputs: Inputs, parameters: Mapping[str, Any]) -> str:
    """Return the task definition: the input's, the file's, or the one with the runner's name."""
    return inputs.task_definition or str(parameters.get("taskDefinition") or inputs.name)


def _place(body: dict[str, Any], inputs: Inputs, definition: Definition) -> None:
    """Add where the task runs; RunTask takes either a launch type or a strategy."""
    if inputs.capacity_provider:
        body["capacityProviderStrategy"] = list(inputs.capacity_provider)
        body.pop("launchType", None)
    elif inputs.launch_type:
        body["launchType"] = inputs.launch_type
        body.pop("capacityProviderStrategy", None)
    elif not {"capacityProviderStrategy", "launchType"} & set(body) and definition.fargate:
        # Without either, ECS takes the cluster's default strategy, or EC2.
        body["launchType"] = "FARGATE"


def _measure(overrides: Mapping[str, Any]) -> None:
    length = len(json.dumps(overrides))
    if length > LIMIT:
        parts = ", ".join(f"{name} {size}" for name, size in _largest(overrides))
        raise Problem(
            "overrides",
            f"They come to {length} characters, and ECS allows {LIMIT}; the longest: {parts}.",
            "Move variables from the file of parameters into the task definition, or use"
            " credential: task, which needs no JIT configuration.",
        )


def _largest(overrides: Mapping[str, Any]) -> list[tuple[str, int]]:
    sizes = {key: len(json.dumps(value)) for key, value in overrides.items()}
    for container in overrides["containerOverrides"]:
        for item in container.get("environment") or []:
            sizes[str(item["name"])] = len(str(item["value"]))
    sizes.pop("containerOverrides")
    return sorted(sizes.items(), key=lambda pair: -pair[1])[:3]
