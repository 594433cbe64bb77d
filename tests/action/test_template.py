"""`deploy/ecs`: checked by cfn-lint, by botocore's models, and by rules that neither knows."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from entrypoint.settings.schema import variables
from entrypoint.vault import SECRETS
from tests.action.cloudformation import TEMPLATE, Stack
from tests.action.conftest import ROOT
from tests.action.stand_in import FARGATE, operation_model, validate

SECRET = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:token-AbCdEf"
ROLE = "arn:aws:iam::123456789012:role/deploy"
REPOSITORY = "arn:aws:ecr:eu-west-1:123456789012:repository/gh/*"
NEEDED = {"Image": "IMAGE", "VpcId": "vpc-1", "SubnetIds": "subnet-1,subnet-2"}
SERVICE = {"CredentialSecretArn": SECRET, "GitHubUrl": "https://github.com/acme"}
LAUNCH = {"OidcSubjects": "repo:acme/shop:ref:refs/heads/main,repo:acme/shop:environment:ci"}
STACKS = {
    "launch": LAUNCH,
    "service": SERVICE,
    "app": {**SERVICE, "GitHubAppId": "7"},
    "ec2": {**SERVICE, **LAUNCH, "Compute": "EC2"},
    "all": {
        **SERVICE,
        **LAUNCH,
        "Compute": "EC2",
        "CpuArchitecture": "ARM64",
        "JobRoleArn": ROLE,
        "RepositoryArn": REPOSITORY,
        "PullThrough": "true",
        "PrivateEndpoints": "true",
        "RouteTableIds": "rtb-1",
        "RunnerGroup": "builds",
    },
}
JSON_FILES = (("task-definition", "Task"), ("service-task-definition", "ServiceTask"))
# Actions that AWS allows on all resources only, or restricts by a condition only.
EVERYWHERE = {
    "ec2:DescribeSecurityGroups",
    "ec2:DescribeSubnets",
    "ecr:GetAuthorizationToken",
    "ecs:DescribeTaskDefinition",
    "ecs:DiscoverPollEndpoint",
}
# The capabilities that PID 1 needs: docs/security.md.
CAPABILITIES = {"CHOWN", "DAC_OVERRIDE", "KILL", "SETGID", "SETPCAP", "SETUID"}


def stack(name: str) -> Stack:
    """Return one of the stacks."""
    return Stack(**NEEDED, **STACKS[name])


def definitions(name: str) -> list[dict[str, Any]]:
    """Return all task definitions of a stack, as requests."""
    found = stack(name)
    names = [
        key for key, item in found.resources.items() if item["Type"].endswith("TaskDefinition")
    ]
    return [found.task_definition(key) for key in names]


def runners(name: str) -> list[dict[str, Any]]:
    """Return the runner's container of all task definitions of a stack."""
    return [
        container
        for definition in definitions(name)
        for container in definition["containerDefinitions"]
        if container["name"] == "runner"
    ]


def statements(name: str) -> list[dict[str, Any]]:
    """Return all statements of all policies."""
    found = stack(name)
    documents = [policy["PolicyDocument"] for policy in found.of_type("AWS::IAM::RolePolicy")]
    documents += [policy["PolicyDocument"] for policy in found.of_type("AWS::IAM::ManagedPolicy")]
    for role in found.of_type("AWS::IAM::Role"):
        assert "ManagedPolicyArns" not in role
        documents += [policy["PolicyDocument"] for policy in role.get("Policies", [])]
    return [statement for document in documents for statement in document["Statement"]]


def test_cfn_lint_finds_nothing() -> None:
    """CloudFormation's linter accepts the template."""
    command = [str(Path(sys.executable).parent / "cfn-lint"), str(TEMPLATE)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize("name", STACKS)
def test_ecs_takes_the_task_definitions(name: str) -> None:
    """Each definition is valid by botocore's model, and has a size that Fargate offers."""
    for definition in definitions(name):
        validate(operation_model("ecs", "register-task-definition").input_shape, definition)
        least, most = FARGATE[int(definition["cpu"])]
        assert least <= int(definition["memory"]) <= most
        assert not definition.get("ephemeralStorage") or (
            21 <= definition["ephemeralStorage"]["sizeInGiB"] <= 200
        )


@pytest.mark.parametrize("name", STACKS)
def test_a_task_is_as_weak_as_can_be(name: str) -> None:
    """A task has no role, privilege, second init, remote shell or device."""
    for definition in definitions(name):
        assert definition.get("taskRoleArn") == (ROLE if name == "all" else None)
        for container in definition["containerDefinitions"]:
            assert not {"privileged", "user", "dockerSecurityOptions"} & set(container)
            assert "devices" not in container.get("linuxParameters", {})
    for runner in runners(name):
        assert runner["linuxParameters"]["initProcessEnabled"] is False
        dropped = runner["linuxParameters"].get("capabilities", {}).get("drop", [])
        assert not CAPABILITIES & set(dropped)
        assert "add" not in runner["linuxParameters"].get("capabilities", {})
    for service in stack(name).of_type("AWS::ECS::Service"):
        assert service["EnableExecuteCommand"] is False


@pytest.mark.parametrize("name", STACKS)
def test_a_stop_has_its_time(name: str) -> None:
    """The longest drain plus ten seconds fit into stopTimeout, which fits into Fargate's limit."""
    longest = Stack(**NEEDED, **STACKS[name])._template["Parameters"]["DrainTimeout"]["MaxValue"]
    for runner in runners(name):
        assert longest + 10 <= runner["stopTimeout"] <= 120


@pytest.mark.parametrize("name", STACKS)
def test_the_settings_are_known(name: str) -> None:
    """Each variable of a runner is a setting, or the file of a secret."""
    known = {*variables(), *(secret + "_FILE" for secret in SECRETS)}
    for runner in runners(name):
        assert {item["name"] for item in runner["environment"]} <= known


@pytest.mark.parametrize("name", STACKS)
def test_the_health_check_is_that_of_the_image(name: str) -> None:
    """The health check is the image's, because ECS ignores HEALTHCHECK."""
    command = re.search(
        r"HEALTHCHECK.*?CMD (\[.*?\])", (ROOT / "Dockerfile").read_text(), re.DOTALL
    )
    assert command
    for runner in runners(name):
        assert runner["healthCheck"]["command"] == ["CMD", *json.loads(command[1])]


@pytest.mark.parametrize("name", ["service", "app", "ec2", "all"])
def test_the_credential_is_seen_by_one_container(name: str) -> None:
    """One container has the credential in its environment, and ends before the runner starts."""
    [service] = [item for item in definitions(name) if item["family"].endswith("-service")]
    writer, runner = service["containerDefinitions"]
    assert writer["secrets"] == [{"name": "CREDENTIAL", "valueFrom": SECRET}]
    assert writer["essential"] is False
    assert "secrets" not in runner
    assert runner["dependsOn"] == [{"containerName": writer["name"], "condition": "SUCCESS"}]
    assert runner["mountPoints"] == writer["mountPoints"]
    told = {item["name"]: item["value"] for item in runner["environment"]}
    assert told["RUNNER_CREDENTIAL"] == "until-job"
    [file] = [key for key in told if key.endswith("_FILE")]
    assert told[file] == "/credential/file"
    app = told.get("GITHUB_APP_ID")
    assert (file == "GITHUB_APP_PRIVATE_KEY_FILE") is bool(app)


@pytest.mark.parametrize("name", STACKS)
def test_what_a_workflow_starts_has_no_secret(name: str) -> None:
    """Neither the task definition nor its execution role give access to a credential."""
    found = stack(name)
    task = found.task_definition("Task")
    assert "secret" not in json.dumps(task).lower()
    assert task["executionRoleArn"] == "{ExecutionRole.Arn}"
    for statement in statements(name):
        if statement["Action"] == "secretsmanager:GetSecretValue":
            assert statement["Resource"] == SECRET
    assert "Policies" not in found.properties("ExecutionRole")


@pytest.mark.parametrize("name", STACKS)
def test_the_rights_are_named(name: str) -> None:
    """No action has a wildcard, and no resource but for actions that know no narrower one."""
    for statement in statements(name):
        if statement["Effect"] == "Deny":
            continue
        actions = statement["Action"]
        actions = [actions] if isinstance(actions, str) else actions
        assert not [action for action in actions if "*" in action]
        if statement["Resource"] == "*" and "Condition" not in statement:
            assert set(actions) <= EVERYWHERE


@pytest.mark.parametrize("name", ["launch", "all"])
def test_what_a_workflow_may(name: str) -> None:
    """A workflow may start this family in this cluster with these roles, and nothing else."""
    by_id = {item["Sid"]: item for item in statements(name) if "Sid" in item}
    start = by_id["Start"]
    assert start["Resource"].endswith(":task-definition/gh-runner:*")
    assert start["Condition"]["ArnEquals"] == {"ecs:cluster": "{Cluster.Arn}"}
    passed = by_id["PassRoles"]
    roles = ["{ExecutionRole.Arn}", ROLE] if name == "all" else ["{ExecutionRole.Arn}"]
    assert passed["Resource"] == roles
    assert by_id["NoShellInside"]["Effect"] == "Deny"
    asked = {action for item in by_id.values() for action in _listed(item["Action"])}
    assert not [action for action in asked if "Register" in action or "Secret" in action]
    assert asked >= set(rights_of_the_action())


def _listed(actions: str | list[str]) -> list[str]:
    return [actions] if isinstance(actions, str) else actions


def rights_of_the_action() -> list[str]:
    """Return the right for each AWS operation that the program uses."""
    found = []
    for path in (ROOT / "action").glob("*.py"):
        for service, words in re.findall(r'"(ecs|ec2|logs) ([a-z-]+)"', path.read_text()):
            name = "".join(word.capitalize() for word in words.split("-"))
            found.append(f"{service}:{name}")
    assert len(found) > 6
    return found


def test_only_named_workflows_assume_the_role() -> None:
    """The role's condition has subject and audience, and the provider exists."""
    [role] = [item for item in stack("launch").of_type("AWS::IAM::Role") if "Description" in item]
    [statement] = role["AssumeRolePolicyDocument"]["Statement"]
    condition = statement["Condition"]
    assert condition["StringEquals"] == {
        "token.actions.githubusercontent.com:aud": "sts.amazonaws.com"
    }
    assert condition["StringLike"] == {
        "token.actions.githubusercontent.com:sub": LAUNCH["OidcSubjects"].split(",")
    }
    assert statement["Principal"] == {"Federated": "{Provider}"}


def test_a_machine_keeps_its_role_to_itself() -> None:
    """A container on the bridge cannot reach the metadata service, and is never privileged."""
    data = stack("ec2").properties("LaunchTemplate")["LaunchTemplateData"]
    assert data["MetadataOptions"] == {
        "HttpEndpoint": "enabled",
        "HttpTokens": "required",
        "HttpPutResponseHopLimit": 1,
    }
    assert "ECS_DISABLE_PRIVILEGED=true" in data["UserData"]
    assert stack("ec2").properties("Task")["NetworkMode"] == "bridge"


def test_a_machine_is_kept_while_a_task_runs() -> None:
    """The capacity provider scales, and may end only machines without tasks."""
    found = stack("ec2")
    provider = found.properties("Ec2Provider")["AutoScalingGroupProvider"]
    assert provider["ManagedTerminationProtection"] == "ENABLED"
    assert found.properties("Machines")["NewInstancesProtectedFromScaleIn"] is True
    assert "{Ec2Provider}" in found.properties("ClusterProviders")["CapacityProviders"]


def test_without_parameters_nothing_is_made_that_costs() -> None:
    """By default a stack has no machine, endpoint or service, which would cost money."""
    kinds = {item["Type"] for item in stack("launch").resources.values()}
    assert not {kind for kind in kinds if "AutoScaling" in kind or "Endpoint" in kind}
    assert "AWS::ECS::Service" not in kinds


@pytest.mark.parametrize(("file", "name"), JSON_FILES)
def test_the_json_is_what_the_template_says(file: str, name: str) -> None:
    """Both JSON files are the template's; `python -m tests.action.test_template` writes them."""
    path = TEMPLATE.with_name(f"{file}.json")
    assert json.loads(path.read_text()) == as_json(name)


def as_json(name: str) -> dict[str, Any]:
    """Return a task definition as JSON with placeholders."""
    placeholders = {
        **NEEDED,
        **SERVICE,
        "Image": "IMAGE",
        "CredentialSecretArn": "SECRET_ARN",
        "GitHubUrl": "https://github.com/OWNER",
    }
    definition = Stack(**placeholders).task_definition(name)
    text = json.dumps(definition)
    for resolved, placeholder in (
        ("{ExecutionRole.Arn}", "EXECUTION_ROLE_ARN"),
        ("{ServiceExecutionRole.Arn}", "EXECUTION_ROLE_ARN"),
        ("{Logs}", "LOG_GROUP"),
        ("eu-west-1", "REGION"),
    ):
        text = text.replace(resolved, placeholder)
    found: dict[str, Any] = json.loads(text)
    return found


if __name__ == "__main__":
    for file, name in JSON_FILES:
        TEMPLATE.with_name(f"{file}.json").write_text(json.dumps(as_json(name), indent=2) + "\n")
