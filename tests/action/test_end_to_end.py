"""The example workflow starts real containers of the image, and one of them runs a job.

`act` runs the workflow's jobs on this machine, moto plays AWS, the simulator GitHub. Docker does
with a task what ECS's agent would do.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import botocore.session
import pytest
import requests
import yaml
from moto.server import ThreadedMotoServer

from simulator import Simulator
from tests.action.cloudformation import TEMPLATE, Stack
from tests.action.conftest import ROOT
from tests.action.runner import register
from tests.action.stand_in import REGION
from tests.action.task_in_docker import Agent, configuration, options, variables
from tests.action.test_template import LAUNCH, NEEDED, SERVICE
from tests.image.conftest import WORK, alone, base, docker, operating_system, slim
from tests.image.engine import Container, Engine
from tests.image.mirror import mirror

__all__ = ["docker"]

pytestmark = [pytest.mark.image, pytest.mark.timeout(1800)]  # may build the image

TOKEN = "ghp_simulator"
NETWORK = "gh-runner-test-action"
IMAGE = f"gh-runner-test-action:{os.getpid()}"
BIN = Path(sys.executable).parent
DEFAULT_LABELS = ("self-hosted", "Linux", "X64", "ephemeral")
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "AKIA0",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "AWS_DEFAULT_REGION": REGION,
}


@pytest.fixture(scope="module")
def image(docker: Engine) -> Iterator[str]:
    """The image under a tag of its own: another test run that builds it removes the usual tag."""
    with alone(), mirror(WORK) as releases:
        built = slim(docker, base(docker, operating_system(docker), "slim"), releases)
        lines = f"FROM {built}\nLABEL run={os.getpid()}\n"
        docker("build", "--tag", IMAGE, "-", input=lines)
    yield IMAGE
    docker("image", "rm", IMAGE, check=False)


@pytest.fixture(scope="module")
def github(docker: Engine) -> Iterator[Simulator]:
    """A GitHub that containers reach over a bridge."""
    name = f"{NETWORK}-{os.getpid()}"
    docker("network", "create", name)
    try:
        bridge: list[dict[str, Any]] = json.loads(docker("network", "inspect", name))
        with Simulator("--host", bridge[0]["IPAM"]["Config"][0]["Gateway"]) as running:
            yield running
    finally:
        docker("network", "rm", name)


@pytest.fixture(scope="module")
def aws() -> Iterator[str]:
    """The address of an AWS whose tasks run until they are stopped."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    body = {"model_name": "ecs::task", "transition": {"progression": "manual", "times": 10000}}
    answer = requests.post(f"{url}/moto-api/state-manager/set-transition", json=body, timeout=30)
    assert answer.ok
    yield url
    server.stop()


@pytest.fixture(scope="module")
def network(aws: str) -> dict[str, str]:
    """A VPC in that AWS, as the variables of the example workflow."""
    ec2 = client(aws, "ec2")
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    ec2.modify_vpc_attribute(VpcId=vpc, EnableDnsHostnames={"Value": True})
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.1.0/24")["Subnet"]["SubnetId"]
    group = ec2.create_security_group(GroupName="runners", Description="x", VpcId=vpc)
    return {"RUNNER_SUBNETS": subnet, "RUNNER_SECURITY_GROUP": "runners", "GROUP": group["GroupId"]}


def client(url: str, service: str) -> Any:
    """Return botocore's client for that AWS."""
    return botocore.session.get_session().create_client(
        service,
        endpoint_url=url,
        region_name=REGION,
        aws_access_key_id="AKIA0",
        aws_secret_access_key="secret",
    )


@pytest.fixture(scope="module")
def ecs(aws: str, image: str) -> Any:
    """The ECS of that AWS, with the template's cluster and task definition."""
    found = client(aws, "ecs")
    found.create_cluster(clusterName="gh-runner")
    definition = Stack(**{**NEEDED, **LAUNCH, "Image": image}).task_definition("Task")
    for container in definition["containerDefinitions"]:
        container["memory"] = 2048  # moto requires it for each container
    found.register_task_definition(**definition)
    return found


@pytest.fixture
def agent(
    ecs: Any, docker: Engine, image: str, github: Simulator, tmp_path: Path
) -> Iterator[Agent]:
    """Makes containers for the tasks."""
    github.reset()
    usual = [*configuration(github.url, tmp_path), f"--network={NETWORK}-{os.getpid()}", image]
    with Agent(ecs, docker, "gh-runner", usual) as found:
        yield found


class Workflow:
    """The example workflow in a repository of its own, without the steps of third parties."""

    def __init__(self, directory: Path, api: str, network: dict[str, str], aws: str) -> None:
        self._directory = directory
        self._api = api
        self._network = network
        self._aws = aws
        self.outputs: dict[str, str] = {}
        shutil.copy(ROOT / "action.yml", directory)
        shutil.copytree(
            ROOT / "action", directory / "action", ignore=shutil.ignore_patterns("__pycache__")
        )
        subprocess.run(["git", "init", "--quiet", directory], check=True)

    def run(self, job: str, **inputs: str) -> str:
        """Run one of its jobs, with further inputs for the action; return what `act` prints."""
        text = (TEMPLATE.parent / "workflow.yml").read_text()
        for name, value in self.outputs.items():
            text = text.replace(f"${{{{ needs.runner.outputs.{name} }}}}", json.dumps(value))
        workflow = yaml.safe_load(text)
        chosen = workflow["jobs"][job]
        chosen.pop("needs", None)
        chosen["steps"] = [self._step(step, inputs) for step in chosen["steps"] if _ours(step)]
        chosen["steps"].insert(0, {"uses": "actions/checkout@v4"})
        outputs = self._directory.parent / "outputs.json"
        keep = 'printf %s "$OUTPUTS" >"$KEEP"'
        told = {"OUTPUTS": "${{ toJSON(steps.start.outputs) }}", "KEEP": str(outputs)}
        chosen["steps"].append({"run": keep, "env": told})
        path = self._directory / "workflow.yml"
        path.write_text(yaml.safe_dump({"on": "push", "jobs": {job: chosen}}))
        printed = self._act(path)
        if job == "runner":
            self.outputs = json.loads(outputs.read_text())
        return printed

    def _step(self, step: dict[str, Any], inputs: dict[str, str]) -> dict[str, Any]:
        given = {**step["with"], "api-url": self._api, **inputs}
        given["token"] = "${{ secrets.TOKEN }}"
        return {**step, "uses": "./", "with": given}

    def _act(self, path: Path) -> str:
        home = self._directory.parent / "home"
        home.mkdir(exist_ok=True)
        words = [
            *(str(BIN / "act"), "push", "--workflows", str(path), "--no-cache-server"),
            *("--platform", "ubuntu-latest=-self-hosted", "--secret", "TOKEN"),
            *("--env", "GITHUB_REPOSITORY=acme/shop", "--env", f"AWS_ENDPOINT_URL={self._aws}"),
        ]
        words += [word for item in self._network.items() for word in ("--var", "=".join(item))]
        words += [word for item in CREDENTIALS.items() for word in ("--env", "=".join(item))]
        done = subprocess.run(
            words,
            cwd=self._directory,
            env={"PATH": f"{BIN}:{os.environ['PATH']}", "HOME": str(home), "TOKEN": TOKEN},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=180,
        )
        sys.stdout.write(done.stdout)
        assert done.returncode == 0
        return done.stdout


def _ours(step: dict[str, Any]) -> bool:
    return str(step.get("uses", "")).startswith("OWNER/gh-runner@")


@pytest.fixture
def workflow(github: Simulator, network: dict[str, str], aws: str, tmp_path: Path) -> Workflow:
    """The example workflow."""
    directory = tmp_path / "repository"
    directory.mkdir()
    return Workflow(directory, github.url, network, aws)


def test_a_job_runs_on_the_runner_that_its_workflow_has_started(
    workflow: Workflow, agent: Agent, github: Simulator, docker: Engine
) -> None:
    """A runner of this launch does the job, no other; the other runners are stopped at the end."""
    # A runner of the same repository that lacks only the launch's own label.
    register(github, "decoy", [*DEFAULT_LABELS, "gh-runner", "gpu"]).open()
    printed = workflow.run("runner", count="2", labels="gpu")
    names = json.loads(workflow.outputs["runner-names"])
    containers = agent.wait_for(2)
    online = {runner["name"] for runner in github.runners() if runner["status"] == "online"}
    assert online == {*names, "decoy"}

    job = github.queue_job("env; id -un", labels=json.loads(workflow.outputs["runs-on"]))
    done = github.wait_for("job_completed", job_id=job["id"], result="succeeded", timeout=60)
    log = github.job(job["id"])["log"]
    assert done["runner"] in names
    assert log.rstrip().endswith("runner")

    stopped = workflow.run("stop")
    assert "tasks stopped: 2" in stopped
    # The runner that did the job is off the list, and its container ends by itself.
    assert sorted(container.wait() for container in containers) == [0, 143]
    assert [runner["name"] for runner in github.runners()] == ["decoy"]

    seen = [printed, stopped, log, json.dumps(agent.tasks, default=str)]
    seen += [docker("inspect", container.id) for container in containers]
    assert not [text for text in seen if TOKEN in text]
    assert "RUNNER_JITCONFIG" not in log


def test_the_service_gets_its_credential_by_a_container(
    docker: Engine, image: str, github: Simulator, tmp_path: Path
) -> None:
    """In the service one container writes the credential; the other keeps it until its job."""
    github.reset()
    definition = Stack(
        **{**NEEDED, **SERVICE, "Image": image, "GitHubUrl": "https://github.com/acme/shop"}
    ).task_definition("ServiceTask")
    volume = f"gh-runner-test-credential-{os.getpid()}"
    mount = f"--volume={volume}:/credential"
    [writer] = [c for c in definition["containerDefinitions"] if c["name"] == "credential"]
    with ExitStack() as exits:
        docker("volume", "create", volume)
        exits.callback(docker, "volume", "rm", volume, check=False)
        entry, command = writer["entryPoint"], writer["command"]
        given = [f"--env=CREDENTIAL={TOKEN}", f"--entrypoint={entry[0]}"]
        docker("run", "--rm", mount, *given, image, *entry[1:], *command)
        told = variables(definition, "runner", {})
        told |= {"GITHUB_API_URL": github.url, "GITHUB_ALLOW_HTTP": "1"}
        runner = Container(
            docker,
            *options(definition, "runner", told),
            *configuration(github.url, tmp_path),
            *(mount, f"--network={NETWORK}-{os.getpid()}", image),
        )
        exits.callback(runner.remove)
        exits.callback(lambda: sys.stdout.write(runner.logs()))
        job = github.queue_job('echo "left: $(sudo ls -A /credential)."')
        github.wait_for("job_completed", job_id=job["id"], result="succeeded", timeout=60)
        assert runner.wait() == 0
        assert "left: ." in github.job(job["id"])["log"]
        assert TOKEN not in docker("inspect", runner.id)
        assert "the credential is gone, and a job begins" in runner.logs()
