"""The guest itself."""

from __future__ import annotations

from simulator import Simulator
from tests.deploy.guest import Guest
from tests.deploy.pools import IMAGE, TOKEN


def test_a_runner_in_each_engine(guest: Guest, github: Simulator) -> None:
    """What the guest is for works with no deploy file at all: a runner registers, and is gone."""
    for engine in ("docker", "podman"):
        settings = {"GITHUB_URL": "https://github.com/acme/shop", "GITHUB_PERSONAL_TOKEN": TOKEN}
        given = [f"--env={name}={value}" for name, value in settings.items()]
        job = github.queue_job()
        guest.run(engine, "run", "--rm", *given, IMAGE)
        assert github.job(job["id"])["result"] == "succeeded"
        assert github.runners() == []
