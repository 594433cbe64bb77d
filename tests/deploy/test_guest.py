"""The guest that the other tests use."""

from __future__ import annotations

import pytest

from simulator import Simulator
from tests.deploy.guest import Guest
from tests.deploy.look import LOOK, assert_nothing_found
from tests.deploy.pools import IMAGE, SETTINGS, TOKEN

TOGETHER = "second guest"

URL = SETTINGS["GITHUB_URL"]


def test_a_runner_in_each_engine(guest: Guest, github: Simulator) -> None:
    """In each engine of the guest a runner registers, does a job, and is off the list."""
    for engine in ("docker", "podman"):
        settings = {"GITHUB_URL": URL, "GITHUB_PERSONAL_TOKEN": TOKEN}
        given = [f"--env={name}={value}" for name, value in settings.items()]
        job = github.queue_job()
        guest.run(engine, "run", "--rm", *given, IMAGE)
        assert github.job(job["id"])["result"] == "succeeded"
        assert github.runners() == []


@pytest.mark.parametrize("hiding", ["echo $token >/tmp/x", "env TOKEN=$token sleep 30 & sleep 1"])
def test_the_look_finds(guest: Guest, github: Simulator, hiding: str) -> None:
    """The job LOOK finds a token that another process or file has."""
    disguised = "token=$(tr a-z n-za-m <<<tuc_fvzhyngbe)\n"
    job = github.queue_job(f"{disguised}{hiding}\n{LOOK}")
    settings = [f"--env=GITHUB_PERSONAL_TOKEN={TOKEN}", f"--env=GITHUB_URL={URL}"]
    guest.run("docker", "run", "--rm", *settings, IMAGE)
    with pytest.raises(AssertionError, match="found:/"):
        assert_nothing_found(github.job(job["id"]))
