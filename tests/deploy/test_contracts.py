"""Other projects' programs start our image; each test does what one tells the engine."""

from __future__ import annotations

import http.client
import json
import sys
from urllib.parse import urlsplit

import pytest

from simulator import Simulator
from tests.deploy.guest import Guest
from tests.deploy.pools import IMAGE, SETTINGS, TOKEN
from tests.support.life import until

TOGETHER = "second guest"


def jit_configuration(github: Simulator, name: str) -> str:
    """Register a runner as a launcher does, and return the configuration for its container."""
    address = urlsplit(github.url).netloc
    connection = http.client.HTTPConnection(address)
    body = {"name": name, "runner_group_id": 1, "labels": ["self-hosted"]}
    headers = {"Authorization": f"Bearer {TOKEN}", "User-Agent": "launcher"}
    path = "/repos/acme/shop/actions/runners/generate-jitconfig"
    connection.request("POST", path, json.dumps(body), headers)
    answer = connection.getresponse()
    assert answer.status == 201
    configuration: str = json.loads(answer.read())["encoded_jit_config"]
    connection.close()
    return configuration


@pytest.mark.parametrize(
    "command",
    [
        # The example for Docker of actions/scaleset, and runscaler.
        ["/home/runner/run.sh"],
        # runscaler with a volume that its runners share.
        ["sh", "-c", "sudo chown -R 1001:123 /shared && /home/runner/run.sh"],
        # Ours: the program, which hides the configuration from jobs.
        [],
    ],
    ids=["scaleset", "runscaler", "no command"],
)
def test_jit_configuration(guest: Guest, github: Simulator, command: list[str]) -> None:
    """A container that gets a JIT configuration takes one job and ends with 0."""
    configuration = jit_configuration(github, "launched")
    # The tests' image sets GITHUB_API_URL, which the configuration has as well.
    options = ["--name=launched", "--env=GITHUB_API_URL="]
    options += [f"--env=ACTIONS_RUNNER_INPUT_JITCONFIG={configuration}"]
    if command:
        options += ["--user=runner", "--volume=/shared"]
    guest.run("docker", "run", "--detach", *options, IMAGE, *command)
    try:
        github.wait_for("listening", runner="launched")
        job = github.queue_job("id -un")
        assert guest.run("docker", "wait", "launched") == "0"
        assert "runner" in github.job(job["id"])["log"]
        assert github.runners() == []
    finally:
        sys.stdout.write(guest.run("docker", "logs", "launched"))  # shown if the test has failed
        guest.run("docker", "rm", "--force", "--volumes", "launched")


def test_other_variables(guest: Guest, github: Simulator) -> None:
    """A program that starts myoung34's image can start ours with the same variables."""
    settings = {
        "REPO_URL": SETTINGS["GITHUB_URL"],
        "ACCESS_TOKEN": TOKEN,
        "RUNNER_NAME_PREFIX": "pool",
        "LABELS": "special",
        "EPHEMERAL": "true",
        "DISABLE_AUTO_UPDATE": "1",
    }
    given = [f"--env={name}={value}" for name, value in settings.items()]
    guest.run("docker", "run", "--detach", "--name=other", *given, IMAGE)
    try:
        event = github.wait_for("listening", runner="pool")
        assert "special" in json.dumps(github.runners())
        job = github.queue_job("env", labels=["special"])
        assert guest.run("docker", "wait", "other") == "0"
        assert TOKEN not in github.job(job["id"])["log"]
        until(lambda: github.runners() == [])
        assert event["runner"].startswith("pool")
    finally:
        sys.stdout.write(guest.run("docker", "logs", "other"))
        guest.run("docker", "rm", "--force", "other")
