"""`make image` and `make run`, as a user types them."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from simulator import Simulator
from simulator.distribution import VERSION
from tests.image.conftest import RunOptions
from tests.image.engine import ROOT, Engine
from tests.image.mirror import RELEASED, Mirror

NAME = "gh-runner-test-make"


def make(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run make; both streams are in `stdout`."""
    return subprocess.run(
        ["make", "-C", ROOT, "--no-print-directory", *arguments],
        env={**os.environ, **env},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


@pytest.fixture
def build_args(docker: Engine, system: str, releases: Mirror) -> Iterator[str]:
    """Build arguments with the tests' servers; the images that they make are removed."""
    given = {**releases.build_args(""), "UBUNTU_IMAGE": system}
    del given["BASE_IMAGE"]
    words = [f"--build-arg {name}={value}" for name, value in given.items()]
    yield " ".join(["--network host", *words])
    docker("image", "rm", f"{NAME}:ubuntu-slim", f"{NAME}-base:ubuntu-slim", check=False)


def test_run_builds_and_runs(
    docker: Engine,
    github: Simulator,
    run_options: RunOptions,
    network: str,
    build_args: str,
    image: str,
) -> None:
    """`make run` builds the image if there is none, and starts a runner with these settings."""
    job = github.queue_job()
    _, env_file, *options = *run_options(), "--network", network
    variables = [f"ENV_FILE={env_file}", f"IMAGE={NAME}", "VARIANT=slim"]
    done = make("run", *variables, f"BUILD_ARGS={build_args}", f"ARGS={' '.join(options)}")
    assert done.returncode == 0, done.stdout
    assert github.job(job["id"])["result"] == "succeeded"
    labels = docker.image(f"{NAME}:ubuntu-slim")["Config"]["Labels"]
    assert labels["org.opencontainers.image.base.name"] == f"{NAME}-base:ubuntu-slim"
    assert labels["gh-runner.runner.version"] == VERSION
    assert labels["gh-runner.runner.released"] == RELEASED
    # Every layer came from the cache, except perhaps the one with the program.
    layers = [docker.image(name)["RootFS"]["Layers"] for name in (f"{NAME}:ubuntu-slim", image)]
    assert layers[0][:-1] == layers[1][:-1]


def test_run_needs_an_env_file(tmp_path: Path) -> None:
    """Without an env file `make run` says how to make one."""
    done = make("run", f"ENV_FILE={tmp_path}/none")
    assert done.returncode != 0
    assert "copy .env-example and fill it in" in done.stdout


@pytest.mark.parametrize("wrong", ["BASE=windows", "VARIANT=huge"])
def test_image_names_what_it_can_build(wrong: str) -> None:
    """An unknown base or variant is refused, and the error lists those that exist."""
    done = make("image", wrong)
    assert done.returncode != 0
    assert "BASE is ubuntu or fedora" in done.stdout or "VARIANT is full or slim" in done.stdout


FAKE_DOCKER = """#!/bin/sh
case "$1" in
    version) echo 20.10.0 ;;
    info) echo '{"runc":{"path":"runc"},"sysbox-runc":{"path":"/usr/bin/sysbox-runc"}}' ;;
    run) echo "$@" ;;
esac
"""


def test_run_takes_sysbox(tmp_path: Path) -> None:
    """If the engine has sysbox, `make run` uses it."""
    fake = tmp_path / "docker"
    fake.write_text(FAKE_DOCKER)
    fake.chmod(0o755)
    (tmp_path / ".env").touch()
    done = make("run", f"ENV_FILE={tmp_path}/.env", "ARGS=--name x", DOCKER=str(fake))
    command = f"run --rm --env-file {tmp_path}/.env --runtime sysbox-runc --name x gh-runner:ubuntu"
    assert done.stdout.splitlines()[-1] == command
