"""Compose: a number of runners, each for one job."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from simulator import Simulator
from tests.deploy.guest import Guest
from tests.deploy.look import LOOK, assert_nothing_found
from tests.deploy.pools import DEPLOY, IMAGE, SETTINGS, TOKEN, documented, listening
from tests.support.life import until

TOGETHER = "first guest"

STOP_SECONDS = 20
Up = Callable[..., None]


def compose(guest: Guest, *words: str) -> str:
    """Run `docker compose` in the folder of compose.yaml."""
    return guest.run("docker", "compose", "--project-directory", f"{DEPLOY}/compose", *words)


def containers(guest: Guest) -> dict[str, dict[str, Any]]:
    """Return the engine's data on each container by id, ended ones included."""
    ids = compose(guest, "ps", "--all", "--quiet").split()
    found = json.loads(guest.run("docker", "inspect", *ids)) if ids else []
    return {container["Id"]: container for container in found}


def codes(guest: Guest) -> list[int]:
    """Return the exit code of each container once all have ended."""
    until(lambda: all(c["State"]["Status"] == "exited" for c in containers(guest).values()))
    return [container["State"]["ExitCode"] for container in containers(guest).values()]


@pytest.fixture
def up(guest: Guest, github: Simulator) -> Iterator[Up]:
    """Start two runners with the commands of the page; settings as keywords."""
    assert github.runners() == []

    def start(token: str = TOKEN, **settings: str) -> None:
        given = {**SETTINGS, "IMAGE": IMAGE, "REPLICAS": "2", **settings}
        lines = "".join(f"{name}={value}\n" for name, value in given.items())
        guest.write(f"{DEPLOY}/compose/.env", lines)
        commands = f"cd {DEPLOY}/..\n{documented('Compose')}"
        guest.run("bash", "-ec", commands, input=token + "\n")

    yield start
    compose(guest, "down")


def test_job_replacement_stop(guest: Guest, github: Simulator, up: Up) -> None:
    """Each container takes one job and ends; the next `up` makes new ones; `down` ends all."""
    up()
    listening(github, 2)
    first = containers(guest)
    assert TOKEN not in json.dumps(first)
    assert TOKEN not in guest.run("sh", "-c", "cat /proc/[0-9]*/cmdline")
    jobs = [github.queue_job(LOOK) for _ in range(2)]
    assert codes(guest) == [0, 0]
    for job in jobs:
        assert_nothing_found(github.job(job["id"]), as_root=True)

    last = github.last_event()
    up()
    last = listening(github, 2, last)
    assert not first.keys() & containers(guest).keys()
    job = github.queue_job("echo begun; sleep 60")
    github.wait_for("job_output", job_id=job["id"], timeout=60)
    begin = time.monotonic()
    compose(guest, "stop")
    assert time.monotonic() - begin < STOP_SECONDS
    assert codes(guest) == [143, 143]
    assert github.job(job["id"])["status"] == "completed"
    assert github.runners() == []


@pytest.mark.exhaustive
def test_the_same_container_again(guest: Guest, github: Simulator, up: Up) -> None:
    """A container that is started a second time, as Compose can do, has no credential left."""
    up()
    listening(github, 2)
    compose(guest, "stop")
    compose(guest, "start")
    assert codes(guest) == [78, 78]
    assert "/run/secrets/github-token" in compose(guest, "logs")
    assert github.runners() == []


@pytest.mark.exhaustive
def test_drain(guest: Guest, github: Simulator, up: Up) -> None:
    """With a drain `stop` lets the running job end."""
    up(RUNNER_DRAIN_TIMEOUT="10")
    listening(github, 2)
    job = github.queue_job("echo begun; sleep 5")
    github.wait_for("job_output", job_id=job["id"], timeout=60)
    compose(guest, "stop")
    assert sorted(codes(guest)) == [0, 143]
    assert github.job(job["id"])["result"] == "succeeded"
    assert github.runners() == []


@pytest.mark.exhaustive
def test_no_job(guest: Guest, github: Simulator, up: Up) -> None:
    """A runner that gets no job leaves by itself after RUNNER_IDLE_TIMEOUT."""
    up(RUNNER_IDLE_TIMEOUT="2")
    assert codes(guest) == [0, 0]
    assert github.runners() == []


@pytest.mark.exhaustive
def test_wrong_token(guest: Guest, github: Simulator, up: Up) -> None:
    """With a wrong token each container tries once, ends with 77, and says so."""
    up(token="ghp_wrong")
    assert codes(guest) == [77, 77]
    assert "refused the credential" in compose(guest, "logs")
    assert sum(request["status"] == 401 for request in github.requests()) == 2
    assert github.runners() == []


@pytest.mark.exhaustive
def test_registry_is_down(guest: Guest, github: Simulator, up: Up) -> None:
    """If the registry is down, `up` says so, and can be told to start the image that is here."""
    guest.run("systemctl", "stop", "docker-registry")
    try:
        with pytest.raises(AssertionError, match="connection refused"):
            up()
        up(PULL_POLICY="missing")
        listening(github, 2)
    finally:
        guest.run("systemctl", "start", "docker-registry")


@pytest.mark.exhaustive
def test_engine_is_killed(guest: Guest, github: Simulator, up: Up) -> None:
    """After a crash the engine stops its containers when it is back; none stays on the list."""
    up()
    listening(github, 2)
    guest.run("systemctl", "kill", "--signal=KILL", "--kill-whom=main", "docker.service")
    until(lambda: github.runners() == [])
    until(lambda: guest.attempt("docker", "version").returncode == 0)
    assert codes(guest) == [143, 143]


@pytest.mark.exhaustive
def test_mounted_socket(guest: Guest, github: Simulator, up: Up) -> None:
    """With the host's socket a job has Docker, and finds no credential in its container."""
    volume = 'volumes: ["/var/run/docker.sock:/var/run/docker.sock"]'
    guest.write(f"{DEPLOY}/compose/socket.yaml", f"services: {{runner: {{{volume}}}}}\n")
    files = [f"{DEPLOY}/compose/{name}.yaml" for name in ("compose", "socket")]
    up(COMPOSE_FILE=":".join(files), REPLICAS="1")
    listening(github, 1)
    ask = "curl -sf --unix-socket /var/run/docker.sock http://docker/version"
    job = github.queue_job(f"{ask}\n{LOOK}")
    assert codes(guest) == [0]
    assert_nothing_found(github.job(job["id"]))
    assert '"Version":"26' in github.job(job["id"])["log"]
