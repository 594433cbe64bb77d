"""Which release of GitHub's runner the Dockerfile takes, with a stand-in for GitHub's API."""

from __future__ import annotations

import json

import pytest

from simulator import Simulator
from simulator.distribution import VERSION
from tests.image.conftest import RunOptions, StartRunner
from tests.image.engine import Engine
from tests.image.mirror import RELEASED, Mirror

TAG = "gh-runner-test:release"
NOBODY = "http://127.0.0.1:1"


def written(docker: Engine, image: str) -> dict[str, str]:
    """Return what an image says about its runner."""
    lines = docker("run", "--rm", image, "cat", "/etc/gh-runner-release").splitlines()
    return dict(line.split("=", 1) for line in lines)


@pytest.mark.parametrize("pinned", [{}, {"RUNNER_VERSION": VERSION}], ids=["newest", "version"])
def test_github_s_release_and_digest(
    docker: Engine, slim_base: str, releases: Mirror, pinned: dict[str, str]
) -> None:
    """The build takes the newest release, or the one that is named, with GitHub's digest."""
    done = docker.build(TAG, build_args=releases.asked_args(slim_base, **pinned))
    assert done.returncode == 0, done.stdout
    assert written(docker, TAG) == {
        "RUNNER_VERSION": VERSION,
        "RUNNER_RELEASED": RELEASED,
        "RUNNER_SHA256": releases.sha256,
    }
    docker("image", "rm", TAG)


def test_asking_again_downloads_nothing_again(
    docker: Engine, slim_base: str, releases: Mirror
) -> None:
    """With a new RUNNER_LOOKUP the build asks GitHub again; the same release keeps its layer."""
    layers = []
    for lookup in ("monday", "tuesday"):
        args = releases.asked_args(slim_base, RUNNER_LOOKUP=lookup)
        done = docker.build(TAG, build_args=args)
        assert done.returncode == 0, done.stdout
        layers.append(docker.image(TAG)["RootFS"]["Layers"])
    assert layers[0] == layers[1]
    docker("image", "rm", TAG)


def test_an_archive_that_is_another_one(docker: Engine, slim_base: str, releases: Mirror) -> None:
    """If the archive does not have GitHub's digest, the build fails."""
    done = docker.build(TAG, build_args=releases.asked_args(slim_base, "api-lying"))
    assert done.returncode != 0
    assert f"has the checksum {releases.sha256}, but RUNNER_SHA256 is 0000" in done.stdout


@pytest.mark.parametrize("pinned", [{}, {"RUNNER_VERSION": VERSION}], ids=["newest", "version"])
def test_the_api_cannot_be_reached(
    docker: Engine, slim_base: str, releases: Mirror, pinned: dict[str, str]
) -> None:
    """If the API cannot be reached, the error names the settings that need no request."""
    args = releases.asked_args(slim_base, **pinned) | {"RUNNER_API_URL": NOBODY}
    done = docker.build(TAG, build_args=args)
    assert done.returncode != 0
    assert f"cannot reach {NOBODY}" in done.stdout
    assert "set RUNNER_VERSION and RUNNER_SHA256" in done.stdout


def test_the_checksum_of_another_architecture(
    docker: Engine, slim_base: str, releases: Mirror
) -> None:
    """Of several checksums the one for this architecture counts; without one the build fails."""
    for sha256, words in (
        (f"x64={'0' * 64},arm64={'0' * 64}", "but RUNNER_SHA256 is 0000"),
        (f"{'arm64' if releases.arch == 'x64' else 'x64'}={releases.sha256}", "no checksum of"),
    ):
        args = {**releases.build_args(slim_base), "RUNNER_SHA256": sha256}
        done = docker.build(TAG, build_args=args)
        assert done.returncode != 0
        assert words in done.stdout


def test_a_life_tells_its_runner(start: StartRunner, github: Simulator) -> None:
    """The log's first event has the version and the date of the runner in the image."""
    github.queue_job()
    container = start()
    assert container.wait() == 0
    first = json.loads(container.logs().splitlines()[0])
    assert first["event_name"] == "life.started"
    assert (first["runner"], first["released"]) == (VERSION, RELEASED)


def test_check_tells_its_runner(
    docker: Engine, image: str, network: str, run_options: RunOptions
) -> None:
    """`gh-runner check` also prints version and date, and how many days are left."""
    options = [*run_options(), "--network", network]
    done = docker.attempt("run", "--rm", *options, image, "check")
    assert f"{VERSION} of {RELEASED}: GitHub gives it" in done.stdout, done.stdout
