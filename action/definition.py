"""The task definition: what a launch needs to know of it. It is only read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Mapping, Sequence

from action.aws import Aws, AwsError
from action.errors import Problem

# The variables through which our image gets a credential, or the path of one.
CREDENTIALS = tuple(
    name + end
    for name in (
        "GITHUB_PERSONAL_TOKEN",
        "GITHUB_APP_PRIVATE_KEY",
        "RUNNER_TOKEN",
        "RUNNER_JITCONFIG",
        "ACTIONS_RUNNER_INPUT_JITCONFIG",
    )
    for end in ("", "_FILE")
)
SCOPES = ("GITHUB_URL", "GITHUB_OWNER", "GITHUB_ENTERPRISE")
_CONTAINER = "runner"


@dataclass(frozen=True)
class Log:
    """Where CloudWatch keeps the container's output."""

    group: str
    prefix: str
    region: str


@dataclass(frozen=True)
class Definition:
    """A task definition, and which of its containers is the runner."""

    arn: str
    family: str
    container: str
    containers: Sequence[str]
    environment: Mapping[str, str]
    secrets: Sequence[str]
    in_vpc: bool
    fargate: bool
    architecture: str
    log: Log | None

    @property
    def credentials(self) -> list[str]:
        """The variables through which the definition itself gives the runner a credential."""
        return [name for name in CREDENTIALS if name in self.secrets or self.environment.get(name)]

    @property
    def has_scope(self) -> bool:
        """Whether the definition itself names the runner's repository or owner."""
        return any(self.environment.get(name) for name in SCOPES)


async def describe(aws: Aws, name: str, container: str, given_name: str) -> Definition:
    """Return the task definition `name`; Problem if it cannot be used.

    `container` is the name of the runner's container, or empty.
    """
    try:
        answer = await aws("ecs describe-task-definition", {"taskDefinition": name})
    except AwsError as error:
        if error.passes:
            raise
        raise Problem(
            "task-definition",
            f"{name!r} cannot be used: {error.message}",
            "Name a family, a family:revision or an ARN of this account and region."
            + _former_default(given_name),
        ) from error
    return _read(answer["taskDefinition"], container, given_name)


def _former_default(given_name: str) -> str:
    if given_name:
        return ""
    return " (With major0/gh-ecs-runner it was called github-ecs-runner without an input name.)"


def _read(body: Mapping[str, Any], wanted: str, name: str) -> Definition:
    containers = {str(item["name"]): item for item in body.get("containerDefinitions") or []}
    chosen = _chosen(containers, wanted, name)
    runner = containers[chosen]
    platform = body.get("runtimePlatform") or {}
    if "WINDOWS" in str(platform.get("operatingSystemFamily", "")):
        raise Problem("task-definition", "It is for Windows; the runner's image is for Linux.")
    compatible = body.get("requiresCompatibilities") or body.get("compatibilities") or []
    return Definition(
        arn=str(body.get("taskDefinitionArn", "")),
        family=str(body.get("family", "")),
        container=chosen,
        containers=list(containers),
        environment={
            str(item.get("name")): str(item.get("value"))
            for item in runner.get("environment") or []
        },
        secrets=[str(item.get("name")) for item in runner.get("secrets") or []],
        in_vpc=body.get("networkMode") == "awsvpc",
        fargate="FARGATE" in compatible,
        architecture="ARM64" if platform.get("cpuArchitecture") == "ARM64" else "X64",
        log=_log(runner.get("logConfiguration") or {}),
    )


def _chosen(containers: Mapping[str, Mapping[str, Any]], wanted: str, name: str) -> str:
    """Return the runner's container: the named one, `runner`, the one of the name, the only one."""
    if wanted:
        if wanted in containers:
            return wanted
        raise Problem(
            "container",
            f"The task definition has no container {wanted!r}.",
            f"It has: {', '.join(containers)}.",
        )
    essential = [key for key, item in containers.items() if item.get("essential", True)]
    for candidate in (_CONTAINER, name):
        if candidate in containers:
            return candidate
    if len(essential) == 1:
        return essential[0]
    raise Problem(
        "container",
        f"It is not clear which container is the runner: {', '.join(containers)}.",
        "Name it.",
    )


def _log(configuration: Mapping[str, Any]) -> Log | None:
    options = configuration.get("options") or {}
    group, prefix = options.get("awslogs-group"), options.get("awslogs-stream-prefix")
    if configuration.get("logDriver") != "awslogs" or not group or not prefix:
        return None
    return Log(str(group), str(prefix), str(options.get("awslogs-region", "")))
