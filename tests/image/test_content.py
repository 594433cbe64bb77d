"""What is in the images."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.image.engine import Container, Engine

EXPECTED = (
    "buildah bzip2 cc curl docker dockerd file g++ gcc gh git git-lfs gpg ip jq less locale make"
    " node patch ping podman ps python3 rsync skopeo ssh sudo tar unzip wget xz zip zstd"
)


@pytest.fixture(scope="module")
def slim(docker: Engine, image: str) -> Iterator[Container]:
    """A container of the slim image."""
    container = Container(docker, image, "sleep", "infinity")
    yield container
    container.remove()


@pytest.fixture(scope="module")
def full(docker: Engine, full_image: str) -> Iterator[Container]:
    """A container of the full image."""
    container = Container(docker, full_image, "sleep", "infinity")
    yield container
    container.remove()


def run(container: Container, script: str, user: str = "root") -> str:
    """Run a script in a container and return what it prints."""
    return container.execute("bash", "-c", script, options=["--user", user])


def test_full_image_has_what_workflows_expect(full: Container) -> None:
    """Every program that workflows take for granted is on the PATH."""
    script = f"for p in {EXPECTED}; do command -v $p >/dev/null || echo missing $p; done"
    assert run(full, script) == ""


def test_full_image_has_locales(full: Container) -> None:
    """The default locale is UTF-8, and US English is installed."""
    assert run(full, "locale -a | grep -ci utf; locale charmap") == "2\nUTF-8"


def test_full_image_has_no_caches(full: Container) -> None:
    """No caches of package managers are in the image."""
    script = "find /var/lib/apt/lists /var/cache/apt /root/.cache /tmp -type f ! -name lock"
    assert run(full, f"{script} 2>/dev/null; true") == ""


def test_slim_image_has_no_engine(slim: Container) -> None:
    """The slim variant has what actions need, and neither engines nor compilers."""
    assert run(slim, "command -v git curl jq tar sudo | wc -l") == "5"
    assert run(slim, "command -v docker dockerd podman gcc; true") == ""


@pytest.mark.parametrize("variant", ["slim", "full"])
def test_runner_user(variant: str, request: pytest.FixtureRequest) -> None:
    """The runner is uid 1001, in the groups docker and sudo, and root by sudo with no password."""
    container = request.getfixturevalue(variant)
    assert run(container, "id --user", user="runner") == "1001"
    groups = run(container, "id --groups --name", user="runner").split()
    assert {"docker", "sudo"} <= set(groups)
    assert run(container, "sudo --non-interactive id --user", user="runner") == "0"
    assert "sudoers.d/runner: parsed OK" in run(container, "visudo --check")


def test_runner_directories_are_the_runners(slim: Container) -> None:
    """The runner's user may write in the runner's directory and in the tool cache."""
    assert run(slim, "find /home/runner /opt/hostedtoolcache ! -user runner") == ""


def test_program_belongs_to_root(slim: Container) -> None:
    """Without sudo no job can change the files that PID 1 consists of."""
    others = "! -type l ( ! -user root -o -perm /022 )"
    assert slim.execute("find", "/opt/gh-runner", "/usr/local/bin", *others.split()) == ""


def test_program_is_compiled(slim: Container) -> None:
    """Each module has its bytecode, which Python never checks again, so that no start compiles."""
    script = """
import importlib.util, pathlib, sys
site = pathlib.Path(sys.prefix, "lib").glob("python3*/site-packages/**/*.py")
for path in site:
    compiled = pathlib.Path(importlib.util.cache_from_source(path))
    if not compiled.exists() or compiled.read_bytes()[4:8] != bytes([1, 0, 0, 0]):
        print(path)
"""
    assert slim.execute("/opt/gh-runner/bin/python", "-c", script) == ""


def test_program_has_no_installer(slim: Container) -> None:
    """The virtual environment has the packages of the lock file, and no pip."""
    script = "from importlib.metadata import distributions as d; print(*(x.name for x in d()))"
    found = slim.execute("/opt/gh-runner/bin/python", "-Ic", script).lower().split()
    assert "requests" in found
    assert {"pip", "setuptools", "wheel"}.isdisjoint(found)
