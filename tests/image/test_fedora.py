"""Dockerfile.base.fedora, built on an image that has all of Fedora but its packages."""

from __future__ import annotations

from pathlib import Path

import pytest

from simulator import Simulator
from tests.image.conftest import HERE, StartRunner, built
from tests.image.engine import ROOT, Engine
from tests.image.mirror import Mirror

PACKAGES = ROOT / "image" / "packages"


@pytest.fixture(scope="module")
def fedora(docker: Engine, slim_base: str) -> str:
    """A stand-in for Fedora's image."""
    tag = "gh-runner-test-fedora:stand-in"
    done = docker.build(
        tag,
        *("--file", str(HERE / "fedora.Dockerfile")),
        context=HERE,
        build_args={"BASE_IMAGE": slim_base},
    )
    assert done.returncode == 0, done.stdout
    return tag


def base(docker: Engine, fedora: str, variant: str) -> str:
    """Build one variant of Dockerfile.base.fedora."""
    options = ["--file", "Dockerfile.base.fedora", "--target", variant]
    tag = f"gh-runner-test-fedora:{variant}"
    return built(docker, tag, *options, build_args={"FEDORA_IMAGE": fedora})


def installed(docker: Engine, image: str) -> list[list[str]]:
    """Return the packages of each `dnf install`."""
    calls = docker("run", "--rm", image, "cat", "/dnf-calls").splitlines()
    return [call.split() for call in calls if call.startswith("install ")]


def test_packages_are_those_of_the_lists(docker: Engine, fedora: str) -> None:
    """The slim variant installs its list, the full one both lists, without weak dependencies."""
    calls = installed(docker, base(docker, fedora, "full"))
    for call, variant in zip(calls, ("slim", "full"), strict=True):
        options = ["--assumeyes", "--nodocs", "--setopt=install_weak_deps=False"]
        packages = (PACKAGES / f"{variant}.rpm").read_text().split()
        assert call == ["install", *options, *packages]


def test_further_packages(docker: Engine, fedora: str) -> None:
    """PACKAGES, separated by commas, are installed with those of the list."""
    options = ["--file", "Dockerfile.base.fedora", "--target", "slim"]
    build_args = {"FEDORA_IMAGE": fedora, "PACKAGES": "postgresql,ffmpeg-free"}
    image = built(docker, "gh-runner-test-fedora:further", *options, build_args=build_args)
    assert installed(docker, image)[0][-2:] == ["postgresql", "ffmpeg-free"]


def test_runner_lives_on_it(
    docker: Engine, fedora: str, releases: Mirror, start: StartRunner, github: Simulator
) -> None:
    """The runner built on that base takes a job, which is in the groups and may use sudo."""
    build_args = releases.build_args(base(docker, fedora, "slim"))
    image = built(docker, "gh-runner-test-fedora:runner", build_args=build_args)
    job = github.queue_job("id -nG | grep -qw docker && id -nG | grep -w wheel && sudo -n id -un")
    assert start(image=image).wait() == 0
    assert github.job(job["id"])["result"] == "succeeded"


@pytest.mark.parametrize("path", sorted(PACKAGES.iterdir()), ids=lambda path: path.name)
def test_lists_are_sorted(path: Path) -> None:
    """Each list of packages is sorted and has no duplicates, so that its diffs are short."""
    names = path.read_text().splitlines()
    assert names == sorted(set(names))
