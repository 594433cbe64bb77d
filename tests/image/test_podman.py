"""The same image under podman."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from simulator import Simulator
from tests.image.conftest import StartRunner
from tests.image.engine import Engine

STOP_SECONDS = 10
# Podman 4 asks for more open files than a container without CAP_SYS_RESOURCE may have, and its
# own runtime, crun, does not work where both versions of cgroups are mounted.
CONFIGURATION = """
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1000:1000"]
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "runc"
"""


@pytest.fixture(scope="module")
def podman(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    """The podman command."""
    if shutil.which("podman") is None:
        pytest.skip("there is no podman")
    configuration = tmp_path_factory.mktemp("podman") / "containers.conf"
    configuration.write_text(CONFIGURATION)
    return Engine("podman", {"CONTAINERS_CONF": str(configuration)})


@pytest.fixture(scope="module")
def podman_image(podman: Engine, docker: Engine, image: str) -> str:
    """The image in podman's own store, where it stays until there is a newer one."""
    name = f"localhost/{image}"
    before = podman.image(name)["Id"] if podman.has_image(name) else ""
    if before != docker.image(image)["Id"].removeprefix("sha256:"):
        with subprocess.Popen([docker.program, "save", image], stdout=subprocess.PIPE) as saved:
            podman("load", stdin=saved.stdout)
        podman("image", "rm", before or "none", check=False)
    return name


@pytest.fixture
def start_podman(start: StartRunner, podman: Engine, podman_image: str) -> StartRunner:
    """Start a runner's container with podman, on its own bridge."""
    return partial(start, engine=podman, image=podman_image, network="podman")


def test_job(start_podman: StartRunner, github: Simulator) -> None:
    """Under podman a container takes one job, leaves with 0 and is gone from GitHub's list."""
    job = github.queue_job("sudo id -un")
    container = start_podman()
    assert container.wait() == 0, container.logs()
    assert github.job(job["id"])["result"] == "succeeded"
    assert github.runners() == []


def test_stop_when_idle(start_podman: StartRunner, github: Simulator) -> None:
    """`podman stop` ends a runner that waits for a job, with 143, and it is off the list."""
    container = start_podman()
    github.wait_for("session_opened")
    assert container.stop() < STOP_SECONDS
    assert container.wait() == 143, container.logs()
    assert github.runners() == []


def test_stop_in_a_job(start_podman: StartRunner, github: Simulator) -> None:
    """`podman stop` cancels the job, which gets a result, within its ten seconds."""
    job = github.queue_job("echo begun; sleep 60")
    container = start_podman(RUNNER_CANCEL_TIMEOUT="1")
    github.wait_for("job_output", timeout=20)
    assert container.stop() < STOP_SECONDS
    assert container.wait() == 143, container.logs()
    assert github.job(job["id"])["status"] == "completed"
    assert github.runners() == []


@pytest.fixture
def made_up_gpu() -> Iterator[str]:
    """A device as NVIDIA's toolkit describes one to podman, but of a kind that nobody has."""
    file = Path("/var/run/cdi") / f"gh-runner-{os.getpid()}.json"
    file.parent.mkdir(exist_ok=True)
    device = {"name": "all", "containerEdits": {"env": ["GPU=made-up"]}}
    kind = f"gh-runner-{os.getpid()}.example/gpu"
    file.write_text(json.dumps({"cdiVersion": "0.5.0", "kind": kind, "devices": [device]}))
    yield f"{kind}=all"
    file.unlink()


def test_gpu(start_podman: StartRunner, github: Simulator, made_up_gpu: str) -> None:
    """What a CDI specification gives a container, such as a GPU, the jobs have."""
    job = github.queue_job("echo the job has: $GPU")
    container = start_podman("--device", made_up_gpu)
    assert container.wait() == 0, container.logs()
    assert "the job has: made-up\n" in github.job(job["id"])["log"]


def test_health(podman: Engine, start_podman: StartRunner, github: Simulator) -> None:
    """The runner is healthy under podman; without systemd a user has to start the check."""
    container = start_podman()
    github.wait_for("session_opened")
    podman("healthcheck", "run", container.id)
