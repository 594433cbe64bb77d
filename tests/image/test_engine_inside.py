"""A Docker engine inside the runner's container, for the jobs."""

from __future__ import annotations

from simulator import Simulator
from tests.image.conftest import StartRunner

# The capabilities that an engine needs if sysbox does not run it. --privileged would also ask for
# CAP_SYS_RESOURCE, which some machines that run these tests do not have.
POWERS = [
    *("--cap-add", "ALL", "--cap-drop", "SYS_RESOURCE"),
    *("--security-opt", "seccomp=unconfined", "--security-opt", "systempaths=unconfined"),
    *("--volume", "/sys/fs/cgroup:/sys/fs/cgroup:rw", "--volume", "/var/lib/docker"),
]
# Without a registry the job's image is empty; it mounts programs from the container around it.
RUN = (
    "tar --create --files-from /dev/null | docker import - empty"
    " && docker run --rm -v /usr:/usr:ro -v /lib:/lib:ro -v /lib64:/lib64:ro empty"
    " /usr/bin/bash -c 'echo hello from inside'"
)


def test_job_uses_docker(start: StartRunner, github: Simulator, full_image: str) -> None:
    """With RUNNER_ENGINE=docker a job runs containers, on a network of their own, without sudo."""
    job = github.queue_job(RUN)
    container = start(*POWERS, image=full_image, RUNNER_ENGINE="docker")
    assert container.wait() == 0, container.logs()
    assert "hello from inside" in github.job(job["id"])["log"]
    assert github.job(job["id"])["result"] == "succeeded"


def test_job_uses_podman(start: StartRunner, github: Simulator, full_image: str) -> None:
    """With RUNNER_ENGINE=podman the same commands work, through podman's service."""
    job = github.queue_job(RUN)
    powers = [*POWERS, "--volume", "/var/lib/containers"]
    container = start(*powers, image=full_image, RUNNER_ENGINE="podman")
    assert container.wait() == 0, container.logs()
    assert "hello from inside" in github.job(job["id"])["log"]
    assert github.job(job["id"])["result"] == "succeeded"


def test_runner_without_powers_has_no_engine(
    start: StartRunner, github: Simulator, full_image: str
) -> None:
    """By default a runner in a container that cannot run an engine starts none."""
    job = github.queue_job("docker version")
    container = start(image=full_image)
    assert container.wait() == 0, container.logs()
    assert "Cannot connect to the Docker daemon" in github.job(job["id"])["log"]
