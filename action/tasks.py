"""Tasks of ECS: start, describe, stop, and explain the end of one."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Mapping, Sequence

from action.aws import Aws, AwsError
from action.definition import Definition
from action.errors import Problem

MOST_DESCRIBED = 100
LOG_LINES = 20

# The meanings of exit codes of gh-runner's image; the README has the same table.
EXIT_CODES = {
    0: "one job ran to its end, or no job came in time",
    7: "GitHub no longer accepts this runner version: rebuild the image",
    69: "the container engine did not start; the tail of its log is printed",
    70: "a defect in gh-runner itself; please report it",
    74: "the runner may still be registered; its name and id are in the last message",
    75: "try later: GitHub is out of reach, failed or limited us, or a disk is full",
    76: "config.sh or the listener failed, or the registration vanished before a job",
    77: "GitHub refused the credential or its permissions",
    78: "the settings are wrong; every problem is listed",
    130: "stopped by SIGINT, and everything was cleaned up",
    137: "killed: out of memory, or longer in stopping than stopTimeout allows",
    143: "stopped by SIGTERM, and everything was cleaned up",
}

# Reasons that pass. RESOURCE: the machines are full; AGENT: a machine is just starting or ending.
_PASSING = re.compile(
    r"RESOURCE:|AGENT\b|EMPTY CAPACITY PROVIDER|NO ACTIVE INSTANCES|capacity is unavailable"
    r"|No Container Instances were found|network interface provisioning|Rate exceeded"
    r"|unable to place a task|could not be placed",
    re.IGNORECASE,
)
_QUOTA = re.compile(r"reached the limit on the number|quota|LimitExceeded", re.IGNORECASE)

# The input to blame for a refusal, found by words in ECS's message.
_BLAME = (
    (r"cluster", "cluster", "Name a cluster of this account and region."),
    (r"subnet", "subnets", "Give ids of subnets of this region, all in one VPC."),
    (r"security group", "security-groups", "Give groups of the VPC of the subnets."),
    (
        r"capacity provider",
        "capacity-provider",
        "Name capacity providers that are associated with the cluster.",
    ),
    (r"fargate configuration|cpu|memory", "cpu, memory", "Take a pair that Fargate offers."),
    (r"network ?configuration", "subnets", "Give subnets for the network mode awsvpc only."),
    (r"launch ?type", "launch-type", "Take one that the task definition is compatible with."),
    (r"task ?definition", "task-definition", "Name an active one of this account and region."),
    (r"override", "task-params-file", "Correct the overrides."),
    (r"\btags?\b", "tags", "Correct the tags."),
)


class Passing(Exception):
    """ECS has no capacity at present."""


@dataclass(frozen=True)
class Task:
    """A task as ECS describes it."""

    arn: str
    body: Mapping[str, Any]

    @property
    def id(self) -> str:
        """The last part of its ARN."""
        return self.arn.rpartition("/")[2]

    @property
    def status(self) -> str:
        """Its state: PROVISIONING, PENDING, RUNNING, STOPPING, STOPPED and more."""
        return str(self.body.get("lastStatus"))

    @property
    def has_ended(self) -> bool:
        """Whether it has ended, so that its description is final."""
        return self.status in ("STOPPED", "DELETED")

    @property
    def started_by(self) -> str:
        """The mark that was given when it was started."""
        return str(self.body.get("startedBy", ""))

    @property
    def address(self) -> str:
        """Its private IPv4 address; empty without a network interface of its own."""
        for attachment in self.body.get("attachments") or []:
            for detail in attachment.get("details") or []:
                if detail.get("name") == "privateIPv4Address":
                    return str(detail.get("value"))
        for container in self.body.get("containers") or []:
            for interface in container.get("networkInterfaces") or []:
                if interface.get("privateIpv4Address"):
                    return str(interface["privateIpv4Address"])
        return ""

    def container(self, name: str) -> Mapping[str, Any]:
        """Return ECS's description of one of its containers."""
        containers: Sequence[Mapping[str, Any]] = self.body.get("containers") or []
        return next((item for item in containers if item.get("name") == name), {})

    def exit_code(self, container: str) -> int | None:
        """Return the exit code of a container; None if it never ran."""
        code = self.container(container).get("exitCode")
        return None if code is None else int(code)

    def never_ran_for_lack_of_room(self, container: str) -> bool:
        """Return whether it ended because ECS had no capacity, so that a later start may work."""
        if self.exit_code(container) is not None or self.body.get("startedAt"):
            return False
        reason = str(self.body.get("stoppedReason", ""))
        return bool(_PASSING.search(reason)) or self.body.get("stopCode") == "SpotInterruption"


async def run(aws: Aws, request: Mapping[str, Any]) -> Task:
    """Start a task; Passing if ECS has no capacity, Problem if it can never be started."""
    try:
        answer = await aws("ecs run-task", request)
    except AwsError as error:
        if error.passes:
            raise
        if _PASSING.search(error.message):
            raise Passing(error.message) from error
        raise refused(error) from error
    for failure in answer.get("failures") or []:
        reason = " ".join(filter(None, map(failure.get, ("reason", "detail"))))
        if _QUOTA.search(reason):
            raise _quota(reason)
        if _PASSING.search(reason):
            raise Passing(reason)
        raise Problem(
            "run-task",
            f"ECS does not start the task: {reason} {failure.get('arn', '')}".rstrip(),
            "docs.aws.amazon.com/AmazonECS/latest/developerguide/api_failures_messages.html",
        )
    tasks = answer.get("tasks") or []
    if not tasks:
        raise Problem("run-task", "ECS has started no task, and does not say why.")
    return Task(str(tasks[0]["taskArn"]), tasks[0])


def refused(error: AwsError) -> Problem:
    """Return the error for the log when ECS refuses a request."""
    words = f"{error.operation}: {error.message} ({error.code})"
    if _QUOTA.search(error.message) or _QUOTA.search(error.code):
        return _quota(words)
    if error.code == "ClusterNotFoundException":
        return Problem("cluster", words, _BLAME[0][2])
    for pattern, name, remedy in _BLAME:
        if re.search(pattern, error.message, re.IGNORECASE):
            return Problem(name, words, remedy)
    return Problem("run-task", words)


def _quota(words: str) -> Problem:
    return Problem(
        "count",
        f"A quota of the account is reached: {words}",
        "Ask for fewer or smaller runners (count, cpu, memory), wait until other tasks have ended,"
        " or ask AWS for a higher quota (Service Quotas, AWS Fargate).",
    )


async def describe(aws: Aws, cluster: str, arns: Sequence[str]) -> dict[str, Task]:
    """Return ECS's descriptions of tasks by their ARNs.

    A task that was just started may be missing for a moment. One that ended an hour ago is missing
    for ever.
    """
    found: dict[str, Task] = {}
    for begin in range(0, len(arns), MOST_DESCRIBED):
        part = list(arns[begin : begin + MOST_DESCRIBED])
        answer = await aws("ecs describe-tasks", {"cluster": cluster, "tasks": part})
        for body in answer.get("tasks") or []:
            found[str(body["taskArn"])] = Task(str(body["taskArn"]), body)
    return found


async def started_by(aws: Aws, cluster: str, mark: str) -> list[str]:
    """Return the tasks with a mark that have not ended."""
    answer = await aws("ecs list-tasks", {"cluster": cluster, "startedBy": mark})
    return [str(arn) for arn in answer.get("taskArns") or []]


async def of_family(aws: Aws, cluster: str, family: str) -> list[str]:
    """Return the tasks of a family that have not ended."""
    answer = await aws("ecs list-tasks", {"cluster": cluster, "family": family})
    return [str(arn) for arn in answer.get("taskArns") or []]


async def stop(aws: Aws, cluster: str, arn: str, reason: str) -> bool:
    """Stop a task; False if ECS does not know it, no longer or not yet."""
    request = {"cluster": cluster, "task": arn, "reason": reason[:255]}
    try:
        await aws("ecs stop-task", request)
    except AwsError as error:
        if error.code == "InvalidParameterException" and "not found" in error.message.lower():
            return False
        raise
    return True


def story(definition: Definition, task: Task) -> str:
    """Return why a task has ended: ECS's reason, the exit code and its meaning."""
    words = [f"task {task.id}: {task.status}"]
    words += filter(None, [task.body.get("stopCode"), task.body.get("stoppedReason")])
    container = task.container(definition.container)
    if container.get("reason"):
        words.append(f"container {definition.container}: {container['reason']}")
    code = task.exit_code(definition.container)
    if code is not None:
        words.append(f"exit code {code}: {EXIT_CODES.get(code, 'not one of gh-runner')}")
    return "; ".join(map(str, words))


async def tail(aws: Aws, definition: Definition, task: Task) -> str:
    """Return the last lines of the container's output; empty if they cannot be read."""
    log = definition.log
    if log is None:
        return ""
    request = {
        "logGroupName": log.group,
        "logStreamName": stream(definition, task),
        "limit": LOG_LINES,
        "startFromHead": False,
    }
    try:
        answer = await aws("logs get-log-events", request, region=log.region)
    except (AwsError, Problem) as error:
        return f"(its log cannot be read: {error})"
    lines = [str(event.get("message", "")).rstrip() for event in answer.get("events") or []]
    return "\n".join(["its last lines:", *lines]) if lines else ""


def stream(definition: Definition, task: Task) -> str:
    """Return the name of the container's log stream."""
    prefix = definition.log.prefix if definition.log else ""
    return f"{prefix}/{definition.container}/{task.id}"
