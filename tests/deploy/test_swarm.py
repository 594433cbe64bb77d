"""What an operator does with a swarm that runs: change the token, give jobs sudo."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from simulator import Simulator
from tests.deploy.guest import Guest
from tests.deploy.look import LOOK, assert_nothing_found
from tests.deploy.pools import DEPLOY, Swarm, listening
from tests.support.life import until

TOGETHER = "first guest"

pytestmark = pytest.mark.exhaustive

# Jobs may become root. Under sysbox they can too, by the engine inside the container, and there the
# container has CAP_SYS_ADMIN as well.
ROOT = """
services:
  runner:
    environment: {RUNNER_SUDO: "1"}
    cap_add: [SYS_ADMIN]
"""

SOCKET = """
services:
  runner:
    environment: {RUNNER_ALLOW_READABLE_SECRETS: "1"}
    volumes: ["/var/run/docker.sock:/var/run/docker.sock"]
"""


@pytest.fixture
def swarm(guest: Guest, github: Simulator) -> Iterator[Swarm]:
    """A swarm on which no service has been started yet."""
    assert github.runners() == []
    pool = Swarm(guest)
    pool.install()
    pool.configure()
    yield pool
    sys.stdout.write(pool.status())  # shown if the test has failed
    pool.stop()
    pool.uninstall()


def test_another_token(swarm: Swarm, github: Simulator) -> None:
    """After the page's commands, a task with the new secret replaces the one that waits at once."""
    swarm.configure(token="ghp_wrong")
    swarm.deploy(1)
    until(lambda: "ends with 77 in 3600 s" in swarm.status(), 60)
    swarm.configure(SECRET="github-token-2")
    swarm.deploy(1)
    listening(github, 1)


def test_secret_is_unmounted(swarm: Swarm, github: Simulator) -> None:
    """The secret is a mount that nobody can delete; it is unmounted before a job that is root."""
    swarm.guest.write(f"{DEPLOY}/swarm/root.yaml", ROOT)
    swarm.deploy(1, "root.yaml")
    last = listening(github, 1)
    assert "was unmounted" in swarm.status()
    job = github.queue_job(LOOK)
    listening(github, 1, last)
    assert_nothing_found(github.job(job["id"]), as_root=True)


def test_mounted_socket(swarm: Swarm, github: Simulator) -> None:
    """With the host's socket a job has Docker, and the operator has allowed it the secret."""
    swarm.guest.write(f"{DEPLOY}/swarm/socket.yaml", SOCKET)
    swarm.deploy(1, "socket.yaml")
    last = listening(github, 1)
    job = github.queue_job("curl -sf --unix-socket /var/run/docker.sock http://docker/version")
    listening(github, 1, last)
    assert '"Version":"26' in github.job(job["id"])["log"]
