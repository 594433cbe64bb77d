"""An error names the input and the remedy once, and nothing is left behind."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

import pytest

from simulator import Simulator
from tests.action.conftest import Step, Steps, environment
from tests.action.runner import Listener
from tests.action.stand_in import Ecs

Listeners = list[Listener]
PROGRAMS = {"bash": shutil.which("bash") or "", "python3": os.path.realpath(sys.executable)}
SUBNET = {"SubnetId": "subnet-1", "VpcId": "vpc-1", "Tags": [{"Key": "at", "Value": "ecs"}]}
GROUP = {"GroupId": "sg-1", "GroupName": "out", "VpcId": "vpc-1", "Tags": SUBNET["Tags"]}


def refused(step: Step, ecs: Ecs, simulator: Simulator) -> str:
    """Return the one error of a step that has left nothing behind."""
    assert step.code == 1, step.output
    [error] = step.errors
    assert not ecs.running
    assert not simulator.runners()
    return error


def test_all_wrong_inputs_at_once(steps: Steps, ecs: Ecs, simulator: Simulator) -> None:
    """One annotation names every wrong input, and AWS gets no request."""
    step = steps.run(
        count="101",
        wait="forever",
        timeout="soon",
        mode="begin",
        cpu="two",
        tags="alone",
        context="a/b/c",
        labels="x" * 257,
        **{"subnets": "here", "capacity-provider": "a b", "subnets-tag": "alone"},
    )
    error = refused(step, ecs, simulator)
    for name in (
        *("count", "wait", "timeout", "mode", "cpu", "tags", "context", "labels", "subnets"),
        *("capacity-provider", "subnets-tag"),
    ):
        assert f"{name}: " in error
    assert not ecs.calls


def test_two_values_for_one_input(steps: Steps, ecs: Ecs, simulator: Simulator) -> None:
    """An input with hyphens and with underscores is the same; two different values are an error."""
    step = steps.run(**{"task-definition": "a", "task_definition": "b", "task_count": "2"})
    error = refused(step, ecs, simulator)
    assert "task-definition and task_definition are the same input" in error
    assert "count" not in error


def test_no_credentials(steps: Steps, ecs: Ecs, simulator: Simulator) -> None:
    """Without AWS credentials the error names the action that provides them."""
    error = refused(steps.where(AWS_ACCESS_KEY_ID="").run(), ecs, simulator)
    assert "AWS credentials: ecs describe-task-definition: Unable to locate credentials" in error
    assert "configure-aws-credentials" in error


def test_no_region(steps: Steps, ecs: Ecs, simulator: Simulator) -> None:
    """Without a region the error names the input."""
    error = refused(steps.where(AWS_REGION="").run(), ecs, simulator)
    assert error.startswith("region: ")
    assert steps.where(AWS_REGION="").run(region="eu-west-1", wait="none").code == 0


def test_no_aws_command(steps: Steps, ecs: Ecs, simulator: Simulator, tmp_path: Path) -> None:
    """On a machine without the AWS CLI the error says so."""
    for name, path in PROGRAMS.items():
        (tmp_path / name).symlink_to(path)
    error = refused(steps.where(PATH=str(tmp_path)).run(), ecs, simulator)
    assert "There is no aws command on this machine." in error


def test_no_python(steps: Steps, ecs: Ecs, tmp_path: Path) -> None:
    """On a machine without Python the error says so."""
    (tmp_path / "bash").symlink_to(PROGRAMS["bash"])
    step = steps.where(PATH=str(tmp_path)).run()
    assert step.code == 1
    assert step.errors == ["python3: This machine has no python3."]
    assert not ecs.calls


@pytest.mark.parametrize(
    ("inputs", "blamed"),
    [
        ({"cluster": "nowhere"}, "cluster: "),
        ({"task-definition": "nothing"}, "task-definition: "),
        ({"name": "nothing"}, "task-definition: "),
        ({"container": "other"}, "container: "),
        ({"cpu": "1024", "memory": "65536"}, "cpu, memory: "),
        ({"task-definition": "vpc"}, "subnets: "),
        ({"task-definition": "vpc", "subnets-tag": "at:other"}, "subnets-tag: "),
        (
            {"task-definition": "vpc", "subnets": "subnet-1", "security-groups": "none"},
            "security-groups: ",
        ),
        (
            {"task-definition": "vpc", "subnets": "subnet-9", "security-groups": "out"},
            "subnets: ",
        ),
        (
            {"task-definition": "vpc", "subnets": "subnet-1", "security-groups-tag": "at:no"},
            "security-groups-tag: ",
        ),
    ],
    ids=str,
)
def test_what_does_not_exist(
    steps: Steps, ecs: Ecs, simulator: Simulator, inputs: dict[str, str], blamed: str
) -> None:
    """The error about a name that does not exist names its input."""
    ecs.register("vpc", networkMode="awsvpc")
    ecs.subnets, ecs.groups = [SUBNET], [GROUP]
    assert refused(steps.run(**inputs), ecs, simulator).startswith(blamed)


def test_networks_are_looked_up(steps: Steps, ecs: Ecs) -> None:
    """Tags and names of groups become ids within the subnets' VPC; ids are passed on."""
    ecs.register("vpc", networkMode="awsvpc")
    other = {**GROUP, "GroupId": "sg-2", "VpcId": "vpc-2"}
    ecs.subnets, ecs.groups = [SUBNET], [other, GROUP]
    for inputs in (
        {"subnets-tag": "at:ecs", "security-groups-tag": "at:ecs"},
        {"subnets": '["subnet-1"]', "security-groups": "out, sg-7"},
        {"subnets": "subnet-1", "security-groups": "sg-8", "assign-public-ip": "ENABLED"},
    ):
        step = steps.run(wait="none", **{"task-definition": "vpc"}, **inputs)
        assert step.code == 0, step.output
    by_tag, by_name, by_id = (
        request["networkConfiguration"]["awsvpcConfiguration"]
        for request in ecs.asked("ecs run-task")
    )
    assert (by_tag["subnets"], by_tag["securityGroups"]) == (["subnet-1"], ["sg-1"])
    assert by_name["securityGroups"] == ["sg-1", "sg-7"]
    assert by_id["securityGroups"] == ["sg-8"]
    assert (by_name["assignPublicIp"], by_id["assignPublicIp"]) == ("DISABLED", "ENABLED")
    assert len(ecs.asked("ec2 describe-subnets")) == 2


def test_subnets_of_several_networks(steps: Steps, ecs: Ecs, simulator: Simulator) -> None:
    """A tag that subnets of several VPCs have is an error."""
    ecs.register("vpc", networkMode="awsvpc")
    ecs.subnets = [SUBNET, {**SUBNET, "SubnetId": "subnet-2", "VpcId": "vpc-2"}]
    step = steps.run(**{"task-definition": "vpc", "subnets-tag": "at:ecs"})
    assert "several VPCs" in refused(step, ecs, simulator)


@pytest.mark.parametrize(
    ("fault", "blamed", "said"),
    [
        (
            {"refusal": "not-accessible"},
            "token: ",
            "Administration (write)",
        ),
        (
            {
                "status": 403,
                "body": {"message": "Resource not accessible by integration"},
                "headers": {"x-accepted-github-permissions": "administration=write"},
            },
            "token: ",
            "github.token can never register a runner",
        ),
        ({"refusal": "bad-credentials"}, "token: ", "has expired or was revoked"),
        ({"refusal": "single-sign-on"}, "token: ", "https://github.com/orgs/acme/sso"),
        ({"refusal": "not-found"}, "token: ", "context is misspelt"),
        ({"status": 422, "body": {"message": "Invalid label"}}, "GitHub: ", "Invalid label"),
        ({"refusal": "rate-limit", "times": 0}, "rate limit: ", "input timeout"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_token_that_may_not_register(
    steps: Steps, ecs: Ecs, simulator: Simulator, fault: dict[str, object], blamed: str, said: str
) -> None:
    """The error has GitHub's message, the request's id and the remedy; no task is started."""
    simulator.fault(path="generate-jitconfig", **fault)
    error = refused(steps.run(timeout="20"), ecs, simulator)
    assert error.startswith(blamed)
    assert said in error
    assert "generate-jitconfig" in error
    assert "(request " in error
    assert not ecs.asked("ecs run-task")


def test_neither_token_nor_secret(steps: Steps, ecs: Ecs, simulator: Simulator) -> None:
    """Without a credential for the runner no task is started."""
    error = refused(steps.run(token=""), ecs, simulator)
    assert error.startswith("token: ")
    assert "create-github-app-token" in error


def test_two_credentials(steps: Steps, ecs: Ecs, simulator: Simulator) -> None:
    """A JIT configuration for a definition with a secret is refused, as the image would do."""
    ecs.register(secrets=["GITHUB_PERSONAL_TOKEN"])
    error = refused(steps.run(credential="jit"), ecs, simulator)
    assert error.startswith("credential: ")
    assert "GITHUB_PERSONAL_TOKEN" in error


def test_no_such_group(steps: Steps, ecs: Ecs, simulator: Simulator, listeners: Listeners) -> None:
    """An unknown runner group is an error that lists the existing ones."""
    simulator.add_group("builds")
    error = refused(steps.run(context="acme", group="bilds"), ecs, simulator)
    assert "builds" in error
    step = steps.run(context="acme", group="builds")
    assert step.code == 0, step.output
    assert listeners


@pytest.mark.parametrize(
    ("error", "blamed"),
    [
        (("InvalidParameterException", "The subnet ID 'subnet-1' does not exist"), "subnets: "),
        (("InvalidParameterException", "The specified capacity provider x"), "capacity-provider: "),
        (("ClientException", "You've reached the limit on the number of vCPUs"), "count: "),
        (("AccessDeniedException", "User x is not authorized to perform"), "AWS permissions: "),
        (("ExpiredTokenException", "The security token is expired"), "AWS credentials: "),
        (("BlockedException", "Your account is currently blocked"), "run-task: "),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_ecs_refuses(
    steps: Steps, ecs: Ecs, simulator: Simulator, error: tuple[str, str], blamed: str
) -> None:
    """The error has ECS's message and the input; the runner is taken off the list."""
    ecs.fault("ecs run-task", error=error)
    told = refused(steps.run(), ecs, simulator)
    assert told.startswith(blamed)
    assert error[1] in told


def test_failures_of_an_answer_are_errors(steps: Steps, ecs: Ecs, simulator: Simulator) -> None:
    """An answer with status 200 whose `failures` are not empty is an error."""
    ecs.fault("ecs run-task", failures=[{"arn": "arn:x", "reason": "ATTRIBUTE"}])
    assert "ATTRIBUTE" in refused(steps.run(), ecs, simulator)


def test_overrides_that_a_workflow_does_not_choose(
    steps: Steps, ecs: Ecs, simulator: Simulator, tmp_path: Path
) -> None:
    """Command, roles and the like need `allow-overrides`; secrets are always refused."""
    path = tmp_path / "params.json"
    params = {"task-params-file": str(path)}
    role = "arn:aws:iam::123456789012:role/x"
    body = {
        "enableExecuteCommand": True,
        "overrides": {
            "taskRoleArn": role,
            "containerOverrides": [{"name": "runner", "command": ["sh"]}],
        },
    }
    path.write_text(json.dumps(body))
    error = refused(steps.run(**params), ecs, simulator)
    assert "task-role, command, execute-command" in error
    assert "task-role: a workflow" in refused(steps.run(task_role_arn=role), ecs, simulator)
    allowed = {"allow-overrides": "command, task-role, execute-command"}
    assert steps.run(wait="none", **params, **allowed).code == 0
    assert ecs.asked("ecs run-task")[0]["overrides"]["taskRoleArn"] == role
    secret = {"name": "GITHUB_PERSONAL_TOKEN", "value": "x"}
    body = {"overrides": {"containerOverrides": [{"name": "runner", "environment": [secret]}]}}
    path.write_text(json.dumps(body))
    [error] = steps.run(**params).errors
    assert "GITHUB_PERSONAL_TOKEN" in error


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"imageId": "x"}', '{"overrides": {"containerOverrides": [1]}}']
)
def test_a_file_of_parameters_that_is_none(
    steps: Steps, ecs: Ecs, simulator: Simulator, tmp_path: Path, text: str
) -> None:
    """The error names a file that is no body of RunTask."""
    (tmp_path / "p.json").write_text(text)
    step = steps.run(**{"task-params-file": str(tmp_path / "p.json")})
    assert refused(step, ecs, simulator).startswith("task-params-file: ")


def test_a_file_of_parameters_of_passei_direto(steps: Steps, ecs: Ecs, tmp_path: Path) -> None:
    """The template of PasseiDireto's action works; members that it leaves empty are not sent."""
    (tmp_path / "task-params.json").write_text(
        json.dumps(
            {
                "count": 1,
                "enableECSManagedTags": True,
                "overrides": {
                    "containerOverrides": [
                        {
                            "name": "runner",
                            "command": [],
                            "environment": [{"name": "EXTRA", "value": "1"}],
                            "environmentFiles": [],
                            "cpu": 1024,
                            "memory": 2048,
                            "resourceRequirements": [],
                        }
                    ],
                    "cpu": "1024",
                    "memory": "2048",
                    "executionRoleArn": "",
                    "taskRoleArn": "",
                },
                "placementStrategy": [],
                "propagateTags": "TASK_DEFINITION",
                "startedBy": "",
                "tags": [{"key": "environment", "value": "dev"}],
            }
        )
    )
    path = str(tmp_path / "task-params.json")
    step = steps.run(wait="false", memory="4096", task_params_file=path)
    assert step.code == 0, step.output
    [request] = ecs.asked("ecs run-task")
    container = request["overrides"]["containerOverrides"][0]
    assert environment(request)["EXTRA"] == "1"
    assert "command" not in container
    assert (container["cpu"], request["overrides"]["memory"]) == (1024, "4096")
    assert request["enableECSManagedTags"] is True
    assert {"key": "environment", "value": "dev"} in request["tags"]


def test_overrides_over_the_limit(
    steps: Steps, ecs: Ecs, simulator: Simulator, tmp_path: Path
) -> None:
    """Overrides over 8192 characters are refused before ECS is asked; the longest is named."""
    big = {"name": "BIG", "value": "x" * 8000}
    body = {"overrides": {"containerOverrides": [{"name": "runner", "environment": [big]}]}}
    (tmp_path / "p.json").write_text(json.dumps(body))
    step = steps.run(**{"task-params-file": str(tmp_path / "p.json")})
    error = refused(step, ecs, simulator)
    assert "8192" in error
    assert "BIG 8000" in error
    assert not ecs.asked("ecs run-task")


def test_words_of_others_are_no_commands(steps: Steps, ecs: Ecs, simulator: Simulator) -> None:
    """No text of AWS, a task or an input becomes a workflow command."""
    evil = "no\n::set-output name=id::evil\n##[set-env name=PATH]/evil\r::warning::x"
    ecs.fault("ecs run-task", error=("ClientException", evil))
    step = steps.run(debug="true", tags="a=::error::x")
    assert refused(step, ecs, simulator)
    commands = [line for line in step.output.splitlines() if line.lstrip().startswith("::")]
    assert {line.split(" ")[0].split("::")[1] for line in commands} == {"add-mask", "error"}
    assert "##[" not in step.output


@pytest.mark.parametrize("text", ["$(id)", "`id`", "a; id", "a\nb", "a b", "../x", "x" * 51])
def test_hostile_names(steps: Steps, ecs: Ecs, simulator: Simulator, text: str) -> None:
    """A name may have only a runner name's characters, none that a shell or a log obeys."""
    assert "name: " in refused(steps.run(name=text), ecs, simulator)


def test_a_hostile_label_is_a_label(steps: Steps, ecs: Ecs) -> None:
    """A label reaches GitHub unchanged, and cannot forge an output."""
    hostile = "$(touch /tmp/x) `id` ; && %0A::set-output"
    step = steps.run(wait="none", labels=hostile)
    assert step.code == 0, step.output
    assert hostile in json.loads(step.outputs["runs-on"])
    assert set(step.outputs) >= {"id", "runs-on", "task-arn"}
    assert ecs.running
