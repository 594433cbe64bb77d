"""GPUs, as far as that goes without one: the engine's options, and a base as CUDA's images are."""

from __future__ import annotations

from pathlib import Path

import pytest

from simulator import Simulator
from tests.image.conftest import StartRunner, base, built
from tests.image.engine import Engine
from tests.image.mirror import Mirror

# What NVIDIA's images set beside the libraries.
CUDA = """
ARG SYSTEM
FROM ${SYSTEM}
ENV NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility CUDA_VERSION=12.6.3 \\
    PATH=/usr/local/nvidia/bin:/usr/local/cuda/bin:${PATH} \\
    LD_LIBRARY_PATH=/usr/local/nvidia/lib:/usr/local/nvidia/lib64
WORKDIR /usr/local/cuda/bin
RUN printf '#!/bin/sh\\necho compiled\\n' >nvcc && chmod 755 nvcc
WORKDIR /
ENTRYPOINT ["/opt/nvidia/nvidia_entrypoint.sh"]
"""


def test_docker_knows_the_option(docker: Engine, image: str) -> None:
    """Docker takes `--gpus all`; without a GPU it lacks the driver, and nothing else."""
    done = docker.attempt("run", "--rm", "--gpus", "all", image, "true")
    assert done.returncode == 0 or "could not select device driver" in done.stdout


@pytest.mark.exhaustive  # installs the packages of a base
def test_cuda_as_the_base(
    docker: Engine,
    start: StartRunner,
    github: Simulator,
    system: str,
    releases: Mirror,
    tmp_path: Path,
) -> None:
    """An image on a CUDA image is a runner, whose jobs have CUDA's variables and programs."""
    (tmp_path / "Dockerfile").write_text(CUDA)
    tag = "gh-runner-test-cuda"
    done = docker.build(f"{tag}:system", context=tmp_path, build_args={"SYSTEM": system})
    assert done.returncode == 0, done.stdout
    slim_base = base(docker, f"{tag}:system", "slim", tag=f"{tag}:slim")
    image = built(docker, f"{tag}:runner", build_args=releases.build_args(slim_base))
    job = github.queue_job("nvcc; echo $NVIDIA_VISIBLE_DEVICES $LD_LIBRARY_PATH; id -un")
    container = start(image=image)
    assert container.wait() == 0, container.logs()
    said = "compiled\nall /usr/local/nvidia/lib:/usr/local/nvidia/lib64\nrunner\n"
    assert github.job(job["id"])["log"] == said
