"""A stand-in for ECS with what moto lacks: failures, clientToken, ends of tasks, limits, delays.

botocore's model of the service checks each request and each answer, so that both are ones that AWS
could have. Its clients are the real `aws` command and the stand-in in `aws_command.py`, which
starts ten times faster.
"""

from __future__ import annotations

import functools
import itertools
import json
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

import botocore.session
from botocore import xform_name
from botocore.model import OperationModel, ServiceModel
from botocore.validate import ParamValidator

REGION, ACCOUNT = "eu-west-1", "123456789012"
OVERRIDES_LIMIT = 8192
FARGATE = {  # CPU units: memory in MiB, from and to; docs: "Task CPU and memory"
    256: (512, 2048),
    512: (1024, 4096),
    1024: (2048, 8192),
    2048: (4096, 16384),
    4096: (8192, 30720),
    8192: (16384, 61440),
    16384: (32768, 122880),
}
Body = dict[str, Any]


class AwsFailure(Exception):
    """An error answer."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass
class Fault:
    """What happens to the next `times` requests for an operation, after `skip` good ones."""

    operation: str
    error: AwsFailure | None = None
    failures: Sequence[Body] = ()
    hold: threading.Event | None = None
    after: bool = False  # the request is carried out before it fails
    times: int = 1
    skip: int = 0


@dataclass
class Call:
    """One request, and the command line and environment of the command that sent it."""

    operation: str
    request: Body
    argv: Sequence[str] = ()
    environ: Mapping[str, str] = field(default_factory=dict)


@functools.cache
def model(service: str) -> ServiceModel:
    """Return botocore's model of a service."""
    return botocore.session.get_session().get_service_model(service)


def operation_model(service: str, name: str) -> OperationModel:
    """Return the model of an operation, named as on the command line: run-task."""
    for known in model(service).operation_names:
        if xform_name(known, "-") == name:
            return model(service).operation_model(known)
    raise AwsFailure("UnknownOperationException", f"{service} has no {name}")


def validate(shape: Any, value: Any) -> None:
    """Raise AssertionError with everything that the model does not allow."""
    report = ParamValidator().validate(value, shape)
    assert not report.has_errors(), report.generate_report()


class Ecs:
    """Clusters, task definitions, tasks; and the few calls of EC2, CloudWatch and STS in use."""

    def __init__(self) -> None:
        """Listen on any free port of this machine."""
        self._lock = threading.RLock()
        self._numbers = itertools.count(1)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._server.ecs = self  # type: ignore[attr-defined]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self.reset()

    def __enter__(self) -> Self:
        """Begin to answer."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Answer no more."""
        self.reset()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        """The address of this server."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def reset(self) -> None:
        """Forget everything but the clusters, and let held requests go on."""
        for fault in getattr(self, "_faults", []):
            if fault.hold:
                fault.hold.set()
        with self._lock:
            self._faults: list[Fault] = []
            self.calls: list[Call] = []
            self.clusters = {"runners", "default"}
            self.definitions: dict[str, Body] = {}
            self.tasks: dict[str, Body] = {}
            self.requests: dict[str, Body] = {}
            self._tokens: dict[str, tuple[str, str]] = {}
            self.logs: dict[tuple[str, str], list[str]] = {}
            self.subnets: list[Body] = []
            self.groups: list[Body] = []
            self.unseen = 0  # so often DescribeTasks and StopTask do not know a new task
            self._unseen: dict[str, int] = {}
            self.on_run: Callable[[Body, Body], None] = lambda _task, _request: None

    def fault(self, operation: str, **what: Any) -> Fault:
        """Add a fault: see `Fault`. `error` may be a pair of code and message."""
        error = what.pop("error", None)
        made = Fault(operation, error=AwsFailure(*error) if error else None, **what)
        if made.error:
            self._check_error(operation, made.error.code)
        with self._lock:
            self._faults.append(made)
        return made

    def _check_error(self, operation: str, code: str) -> None:
        """Fail unless it is an error that every service has, or one in this operation's model."""
        service, name = operation.split()
        common = {"ThrottlingException", "ServerException", "ExpiredTokenException"}
        names = {shape.name for shape in operation_model(service, name).error_shapes}
        assert service == "ec2" or code in names | common, f"{operation} knows no {code}"

    def register(self, family: str = "gh-runner", **what: Any) -> Body:
        """Register a Fargate task definition with a container `runner`; return its body."""
        container = {
            "name": what.pop("container", "runner"),
            "image": "gh-runner",
            "essential": True,
            "environment": [
                {"name": name, "value": value}
                for name, value in what.pop("environment", {}).items()
            ],
            "secrets": [
                {"name": name, "valueFrom": "arn:aws:ssm:x"} for name in what.pop("secrets", ())
            ],
            "logConfiguration": {
                "logDriver": "awslogs",
                "options": {
                    "awslogs-group": "/gh-runner",
                    "awslogs-region": REGION,
                    "awslogs-stream-prefix": "ci",
                },
            },
        }
        body = {
            "family": family,
            "networkMode": "bridge",
            "requiresCompatibilities": ["FARGATE"],
            "cpu": "1024",
            "memory": "2048",
            "containerDefinitions": [container],
            **what,
        }
        validate(operation_model("ecs", "register-task-definition").input_shape, body)
        body |= {"taskDefinitionArn": f"{_arn('task-definition')}{family}:1", "revision": 1}
        self.definitions[family] = body
        return body

    def end(self, arn: str, code: int | None = None, **what: Any) -> None:
        """End a task with its container's exit code; without one, before the container ran."""
        with self._lock:
            task = self.tasks[arn]
            task |= {"lastStatus": "STOPPED", "desiredStatus": "STOPPED", **what}
            if code is not None:
                task.setdefault("stopCode", "EssentialContainerExited")
                task["startedAt"] = time.time()
                task["containers"][0]["exitCode"] = code

    @property
    def running(self) -> list[str]:
        """The tasks that were not stopped and have not ended."""
        with self._lock:
            return [arn for arn, task in self.tasks.items() if task["desiredStatus"] != "STOPPED"]

    def asked(self, operation: str) -> list[Body]:
        """Return the requests for an operation."""
        with self._lock:
            return [call.request for call in self.calls if call.operation == operation]

    def answer(self, call: Call) -> Body:
        """Carry out a request; AwsFailure if it is refused."""
        service, name = call.operation.split()
        operation = operation_model(service, name)
        report = ParamValidator().validate(call.request, operation.input_shape)
        with self._lock:
            self.calls.append(call)
            fault = self._take(call.operation)
        if report.has_errors():
            raise AwsFailure("ParamValidation", report.generate_report())
        handler = getattr(self, "_" + name.replace("-", "_"))
        answer: Body | None = None
        if fault is None or fault.after:
            with self._lock:
                answer = handler(call.request)
        if fault is not None:
            answer = self._suffer(fault, answer) or answer
        if answer is None:
            with self._lock:
                answer = handler(call.request)
        validate(operation.output_shape, answer)
        return answer

    def _take(self, operation: str) -> Fault | None:
        for fault in self._faults:
            if fault.operation != operation:
                continue
            if fault.skip:
                fault.skip -= 1
                continue
            fault.times -= 1
            if not fault.times:
                self._faults.remove(fault)
            return fault
        return None

    def _suffer(self, fault: Fault, _answer: Body | None) -> Body | None:
        if fault.hold:
            fault.hold.wait(60)
        if fault.error:
            raise fault.error
        return {"tasks": [], "failures": list(fault.failures)} if fault.failures else None

    def _describe_task_definition(self, request: Body) -> Body:
        return {"taskDefinition": self._definition(request["taskDefinition"])}

    def _definition(self, name: str) -> Body:
        family = name.rpartition("/")[2].partition(":")[0]
        if family not in self.definitions:
            raise AwsFailure("ClientException", "Unable to describe task definition.")
        return self.definitions[family]

    def _cluster(self, request: Body) -> str:
        name = str(request.get("cluster", "default")).rpartition("/")[2]
        if name not in self.clusters:
            raise AwsFailure("ClusterNotFoundException", "Cluster not found.")
        return name

    def _run_task(self, request: Body) -> Body:
        cluster = self._cluster(request)
        definition = self._definition(request["taskDefinition"])
        self._check(request, definition)
        token, body = request.get("clientToken", ""), json.dumps(request, sort_keys=True)
        if token in self._tokens:
            before, arn = self._tokens[token]
            if before != body:
                message = "The provided clientToken is already in use with another request."
                raise AwsFailure("ConflictException", message)
            return {"tasks": [self.tasks[arn]], "failures": []}
        number = next(self._numbers)
        task = self._new_task(cluster, number, request, definition)
        arn = task["taskArn"]
        self.tasks[arn], self.requests[arn] = task, request
        self._unseen[arn] = self.unseen
        if token:
            self._tokens[token] = body, arn
        threading.Thread(target=self.on_run, args=(task, request), daemon=True).start()
        return {"tasks": [dict(task)], "failures": []}

    def _new_task(self, cluster: str, number: int, request: Body, definition: Body) -> Body:
        detail = {"name": "privateIPv4Address", "value": f"10.0.1.{number % 250}"}
        return {
            "taskArn": f"{_arn('task')}{cluster}/{number:032x}",
            "clusterArn": _arn("cluster") + cluster,
            "taskDefinitionArn": definition["taskDefinitionArn"],
            "lastStatus": "PROVISIONING",
            "desiredStatus": "RUNNING",
            "startedBy": request.get("startedBy", ""),
            "overrides": request.get("overrides", {}),
            "tags": request.get("tags", []),
            "attachments": [{"type": "ElasticNetworkInterface", "details": [detail]}],
            "containers": [
                {"name": item["name"], "lastStatus": "PENDING"}
                for item in definition["containerDefinitions"]
            ],
        }

    def _check(self, request: Body, definition: Body) -> None:
        if len(json.dumps(request.get("overrides", {}))) > OVERRIDES_LIMIT:
            message = f"Container Overrides length must be at most {OVERRIDES_LIMIT}"
            raise AwsFailure("InvalidParameterException", message)
        names = {item["name"] for item in definition["containerDefinitions"]}
        overrides = request.get("overrides", {})
        for container in overrides.get("containerOverrides", []):
            if container.get("name") not in names:
                message = f"Override for container named {container.get('name')} is not a container"
                raise AwsFailure("InvalidParameterException", message + " in the TaskDefinition.")
        if request.get("launchType") and request.get("capacityProviderStrategy"):
            message = (
                "Specifying both a launch type and capacity provider strategy is not supported."
            )
            raise AwsFailure("InvalidParameterException", message)
        needs = definition["networkMode"] == "awsvpc"
        if needs and not request.get("networkConfiguration"):
            message = (
                "Network Configuration must be provided when networkMode 'awsvpc' is specified."
            )
            raise AwsFailure("InvalidParameterException", message)
        if request.get("launchType") == "FARGATE":
            self._check_fargate(overrides, definition)

    def _check_fargate(self, overrides: Body, definition: Body) -> None:
        cpu = int(overrides.get("cpu") or definition["cpu"])
        memory = int(overrides.get("memory") or definition["memory"])
        least, most = FARGATE.get(cpu, (1, 0))
        if not least <= memory <= most:
            raise AwsFailure("ClientException", "No Fargate configuration exists for given values.")

    def _describe_tasks(self, request: Body) -> Body:
        self._cluster(request)
        if len(request["tasks"]) > 100:
            raise AwsFailure("InvalidParameterException", "Tasks cannot exceed 100 items.")
        found, failures = [], []
        for arn in request["tasks"]:
            if arn not in self.tasks or self._is_unseen(arn):
                failures.append({"arn": arn, "reason": "MISSING"})
                continue
            task = self.tasks[arn]
            found.append(json.loads(json.dumps(task)))
            if task["lastStatus"] == "PROVISIONING":
                task |= {"lastStatus": "RUNNING", "startedAt": time.time()}
        return {"tasks": found, "failures": failures}

    def _is_unseen(self, arn: str) -> bool:
        self._unseen[arn] = self._unseen.get(arn, 0) - 1
        return self._unseen[arn] >= 0

    def _list_tasks(self, request: Body) -> Body:
        self._cluster(request)
        if "startedBy" in request and set(request) - {"startedBy", "cluster", "nextToken"}:
            raise AwsFailure("InvalidParameterException", "startedBy must be the only filter.")
        family = f"task-definition/{request.get('family', '')}"
        found = [
            arn
            for arn, task in self.tasks.items()
            if task["desiredStatus"] == "RUNNING"
            and request.get("startedBy") in (None, task["startedBy"])
            and family in task["taskDefinitionArn"]
        ]
        return {"taskArns": found}

    def _stop_task(self, request: Body) -> Body:
        self._cluster(request)
        arn = request["task"]
        if arn not in self.tasks or self._is_unseen(arn):
            message = "The referenced task was not found."
            raise AwsFailure("InvalidParameterException", message)
        self.tasks[arn] |= {"desiredStatus": "STOPPED", "stopCode": "UserInitiated"}
        self.tasks[arn]["stoppedReason"] = request.get("reason", "")
        return {"task": self.tasks[arn]}

    def _get_log_events(self, request: Body) -> Body:
        lines = self.logs.get((request["logGroupName"], request["logStreamName"]))
        if lines is None:
            message = "The specified log stream does not exist."
            raise AwsFailure("ResourceNotFoundException", message)
        events = [{"timestamp": 0, "message": line} for line in lines[-request["limit"] :]]
        return {"events": events}

    def _describe_subnets(self, request: Body) -> Body:
        known = {subnet["SubnetId"] for subnet in self.subnets}
        for wanted in request.get("SubnetIds", []):
            if wanted not in known:
                message = f"The subnet ID '{wanted}' does not exist"
                raise AwsFailure("InvalidSubnetID.NotFound", message)
        chosen = [
            subnet
            for subnet in self.subnets
            if subnet["SubnetId"] in request.get("SubnetIds", known)
        ]
        return {"Subnets": _filtered(chosen, request)}

    def _describe_security_groups(self, request: Body) -> Body:
        return {"SecurityGroups": _filtered(self.groups, request)}

    def _get_caller_identity(self, _request: Body) -> Body:
        return {"Account": ACCOUNT, "Arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/launcher/x"}


def _filtered(items: Sequence[Body], request: Body) -> list[Body]:
    """Return the items that the filters select: by tag, by the group's name, by the VPC."""
    found = list(items)
    for wanted in request.get("Filters", []):
        name, values = wanted["Name"], wanted["Values"]
        if name.startswith("tag:"):
            key = name.removeprefix("tag:")
            found = [item for item in found if _tags(item).get(key) in values]
        else:
            member = {"group-name": "GroupName", "vpc-id": "VpcId"}[name]
            found = [item for item in found if item[member] in values]
    return found


def _tags(item: Body) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in item.get("Tags", [])}


def _arn(kind: str) -> str:
    return f"arn:aws:ecs:{REGION}:{ACCOUNT}:{kind}/"


class _Handler(BaseHTTPRequestHandler):
    """Takes requests of the real command (AWS JSON 1.1), and of the command's stand-in."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Answer one request."""
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])) or b"{}")
        call = self._call(body)
        try:
            status, answer = 200, self.server.ecs.answer(call)  # type: ignore[attr-defined]
        except AwsFailure as failure:
            status, answer = 400, {"__type": failure.code, "message": failure.message}
        except Exception as error:  # noqa: BLE001 a test sees nothing but the answer
            status, answer = 400, {"__type": "StandInIsBroken", "message": repr(error)}
        data = json.dumps(answer, default=str).encode()
        try:
            self.send_response(status)
            self.send_header("Content-Type", "application/x-amz-json-1.1")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)
        except OSError:
            pass  # the client was killed meanwhile

    def _call(self, body: Body) -> Call:
        target = self.headers.get("X-Amz-Target")
        if target is None:
            return Call(**body)
        prefix, _, name = target.partition(".")
        service = {"AmazonEC2ContainerServiceV20141113": "ecs", "Logs_20140328": "logs"}[prefix]
        return Call(f"{service} {xform_name(name, '-')}", body)

    def log_message(self, *_arguments: Any) -> None:
        """Print nothing."""
