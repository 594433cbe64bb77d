"""What is in the images."""

from __future__ import annotations

import pytest

from tests.image.engine import Engine

EXPECTED = (
    "buildah bzip2 cc curl docker dockerd file g++ gcc gh git git-lfs gpg ip jq less locale make"
    " node patch ping podman ps python3 rsync skopeo ssh sudo tar unzip wget xz zip zstd"
)


def run(docker: Engine, image: str, script: str) -> str:
    """Run a script in a container and return what it prints."""
    return docker("run", "--rm", image, "bash", "-c", script)


def test_full_image_has_what_workflows_expect(docker: Engine, full_image: str) -> None:
    """Everything a workflow takes for granted is on the PATH."""
    script = f"for p in {EXPECTED}; do command -v $p >/dev/null || echo missing $p; done"
    assert run(docker, full_image, script) == ""


def test_full_image_has_locales(docker: Engine, full_image: str) -> None:
    """UTF-8 is the default, and US English is there for those who ask for it."""
    assert run(docker, full_image, "locale -a | grep -ci utf; locale charmap") == "2\nUTF-8"


def test_full_image_has_no_caches(docker: Engine, full_image: str) -> None:
    """Installing has left nothing behind."""
    script = "find /var/lib/apt/lists /var/cache/apt /root/.cache /tmp -type f ! -name lock"
    assert run(docker, full_image, f"{script} 2>/dev/null; true") == ""


def test_slim_image_has_no_engine(docker: Engine, image: str) -> None:
    """The slim variant has what actions need, and neither engines nor compilers."""
    assert run(docker, image, "command -v git curl jq tar sudo | wc -l") == "5"
    assert run(docker, image, "command -v docker dockerd podman gcc; true") == ""


@pytest.mark.parametrize("variant", ["image", "full_image"])
def test_runner_user(variant: str, docker: Engine, request: pytest.FixtureRequest) -> None:
    """The runner is uid 1001, in the groups docker and sudo, and root by sudo with no password."""
    image = request.getfixturevalue(variant)
    as_runner = ["run", "--rm", "--user", "runner", image]
    assert docker(*as_runner, "id", "--user") == "1001"
    assert {"docker", "sudo"} <= set(docker(*as_runner, "id", "--groups", "--name").split())
    assert docker(*as_runner, "sudo", "--non-interactive", "id", "--user") == "0"
    assert "sudoers.d/runner: parsed OK" in run(docker, image, "visudo --check")


def test_runner_directories_are_the_runners(docker: Engine, image: str) -> None:
    """The runner may write where it has to: in its own directory and in the tool cache."""
    script = "find /home/runner /opt/hostedtoolcache ! -user runner"
    assert run(docker, image, script) == ""


def test_program_belongs_to_root(docker: Engine, image: str) -> None:
    """No job can change what PID 1 is made of, except by sudo."""
    script = (
        "find /opt/gh-runner /usr/local/bin/gh-runner ! -type l \\( ! -user root -o -perm /022 \\)"
    )
    assert run(docker, image, script) == ""


def test_program_is_compiled(docker: Engine, image: str) -> None:
    """No start compiles anything: each module has its bytecode, which is never checked again."""
    script = """
import importlib.util, pathlib, sys
site = pathlib.Path(sys.prefix, "lib").glob("python3*/site-packages/**/*.py")
for path in site:
    compiled = pathlib.Path(importlib.util.cache_from_source(path))
    if not compiled.exists() or compiled.read_bytes()[4:8] != bytes([1, 0, 0, 0]):
        print(path)
"""
    assert docker("run", "--rm", image, "/opt/gh-runner/bin/python", "-c", script) == ""


def test_program_has_no_installer(docker: Engine, image: str) -> None:
    """The virtual environment holds what the lock file names, and no pip."""
    script = "from importlib.metadata import distributions as d; print(*(x.name for x in d()))"
    found = docker("run", "--rm", image, "/opt/gh-runner/bin/python", "-Ic", script).lower().split()
    assert "requests" in found
    assert {"pip", "setuptools", "wheel"}.isdisjoint(found)
