"""The check of an image before it is published, and what users pull afterwards."""

from __future__ import annotations

import io
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.image.engine import ROOT, Engine
from tests.release.command import attempt, succeeds
from tests.release.registry import registry


def tried(docker: Engine, image: str) -> subprocess.CompletedProcess[str]:
    """Check an image as the workflow does before it is published."""
    return subprocess.run(
        [ROOT / "scripts/try-image", image],
        env={"PATH": "/usr/bin:/bin", "DOCKER": docker.program},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_runner_passes(docker: Engine, image: str) -> None:
    """An image that can be a runner passes, and the output names its runner."""
    done = tried(docker, image)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{image} is a runner: 2.336.0\n"


@contextmanager
def changed(docker: Engine, image: str, name: str, *lines: str) -> Iterator[str]:
    """Make an image that has more Dockerfile lines than another one."""
    tag = f"gh-runner-test-bad:{name}"
    dockerfile = "\n".join([f"FROM {image}", *lines])
    docker("build", "--tag", tag, "-", input=dockerfile)
    yield tag
    docker("image", "rm", tag)


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        (["LABEL gh-runner.runner.version=9.9.9"], "the listener is 2.336.0, the label says 9.9.9"),
        (["LABEL gh-runner.runner.released=lately"], "no label tells when"),
        (["RUN rm /etc/sudoers.d/runner"], "sudo does not work"),
        (["RUN sed -i s/2/3/ /etc/gh-runner-release"], "tells of another version than the label"),
        (['ENTRYPOINT ["/bin/false"]'], "the user runner is not 1001"),
        (['ENTRYPOINT ["/usr/bin/env"]'], "without settings it ended with 0, not 78"),
    ],
    ids=["listener", "day", "sudo", "release", "entrypoint", "exit-code"],
)
def test_what_is_no_runner(docker: Engine, image: str, lines: list[str], reason: str) -> None:
    """An image that lacks something is refused, and the error names what it lacks."""
    with changed(docker, image, "tried", *lines) as bad:
        done = tried(docker, bad)
    assert done.returncode == 1
    assert reason in done.stderr


@pytest.fixture
def repository(tmp_path: Path) -> Iterator[str]:
    """A repository for users, in a registry on loopback to which docker pushes."""
    with registry(tmp_path) as address:
        yield f"{address}/acme/gh-runner"


def push(docker: Engine, repository: str, key: str) -> None:
    """Push a build, image and base, as docker pushes."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.addfile(tarfile.TarInfo(key))
    for name in ("ubuntu", "base-ubuntu"):
        tag = f"{repository}-build:{key}-{name}"
        subprocess.run(
            [docker.program, "import", "--message", name, "-", tag],
            input=buffer.getvalue(),
            capture_output=True,
            check=True,
        )
        docker("push", "--quiet", tag)
        docker("image", "rm", tag)


def test_docker_pulls_what_was_published(docker: Engine, repository: str) -> None:
    """A pushed build gets its names, which move to the next version; docker can pull them."""
    layers = {}
    for version in ("1.2.3", "1.2.4"):
        push(docker, repository, version)
        where = ["--from", f"{repository}-build:{version}", "--to", repository]
        succeeds("publish", version, *where, "--flavours", "ubuntu")
        for tag in (version, "1", "latest"):
            docker("pull", "--quiet", f"{repository}:{tag}")
            layers[tag] = docker.image(f"{repository}:{tag}")["RootFS"]["Layers"]
            docker("image", "rm", f"{repository}:{tag}")
    assert layers["1.2.3"] != layers["1.2.4"] == layers["1"] == layers["latest"]
    other = ["--from", f"{repository}-build:1.2.3", "--to", repository, "--flavours", "ubuntu"]
    done = attempt("publish", "1.2.4", *other)
    assert done.returncode == 1
    assert "immutable" in done.stderr
