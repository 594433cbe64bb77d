"""The scripts that build images for the workflows, with a `docker` that records its words."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.release.command import ROOT, fake

BUILD = "ghcr.io/acme/runners-build:abc"
SHA256 = "a" * 64


@pytest.fixture
def docker(tmp_path: Path) -> dict[str, str]:
    """An environment whose docker records its words, one call a line."""
    body = f'[ "$1" = version ] && echo 20.10.24 || printf "%s\\n" "$*" >>{tmp_path}/calls'
    path = fake(tmp_path / "bin", "docker", body)
    return {
        **os.environ,
        "PATH": path,
        "BUILD": BUILD,
        "GITHUB_REPOSITORY": "acme/runners",
        "GITHUB_SERVER_URL": "https://github.com",
        "RUNNER_VERSION": "2.337.0",
        "RUNNER_SHA256": SHA256,
        "RUNNER_RELEASED": "2026-09-10",
    }


def run(script: str, env: dict[str, str], tmp_path: Path) -> list[str]:
    """Run a script and return docker's recorded calls."""
    subprocess.run([ROOT / "scripts" / script], env=env, check=True, capture_output=True)
    return (tmp_path / "calls").read_text().splitlines()


def test_a_build_is_pushed_with_what_proves_it(docker: dict[str, str], tmp_path: Path) -> None:
    """The base is built first, then the image; both get provenance and SBOM."""
    env = {**docker, "BASE": "fedora", "VARIANT": "slim", "ARCHITECTURE": "arm64"}
    _, base, image = run("push-build", env, tmp_path)
    for call in (base, image):
        assert "--push --provenance=mode=max --sbom=true --pull --platform linux/arm64" in call
    assert f"--target slim --tag {BUILD}-base-fedora-slim-arm64" in base
    assert f"--build-arg=BASE_IMAGE={BUILD}-base-fedora-slim-arm64" in image.replace(
        "--build-arg ", "--build-arg="
    )
    for value in ("VERSION=2.337.0", f"SHA256={SHA256}", "RELEASED=2026-09-10"):
        assert f"--build-arg=RUNNER_{value} " in image
    assert "SOURCE=https://github.com/acme/runners " in image
    assert image.endswith(f"--tag {BUILD}-fedora-slim-arm64 .")


def test_no_build_without_a_checksum(docker: dict[str, str], tmp_path: Path) -> None:
    """If the runner's checksum cannot be found out, nothing is built."""
    env = {**docker, "BASE": "ubuntu", "VARIANT": "full", "ARCHITECTURE": "amd64"}
    env |= {"RUNNER_SHA256": "", "RUNNER_API_URL": "http://127.0.0.1:1"}
    done = subprocess.run([ROOT / "scripts/push-build"], env=env, check=False, capture_output=True)
    assert done.returncode != 0
    assert b"cannot reach http://127.0.0.1:1" in done.stderr
    assert not (tmp_path / "calls").exists()


def test_all_builds_are_joined(docker: dict[str, str], tmp_path: Path) -> None:
    """Each flavour and each base gets one name for both architectures."""
    calls = run("join-builds", docker, tmp_path)
    assert len(calls) == 8
    name = f"{BUILD}-base-fedora-slim"
    assert f"buildx imagetools create --tag {name} {name}-amd64 {name}-arm64" in calls


def test_make_image_asks_before_it_builds(docker: dict[str, str], tmp_path: Path) -> None:
    """Labels have the chosen runner; values in BUILD_ARGS win, in either spelling."""
    words = "--build-arg RUNNER_VERSION=2.336.0 --build-arg=RUNNER_RELEASED=2026-08-20 --pull"
    *_, image, _ = run("build-image", {**docker, "BUILD_ARGS": words}, tmp_path)
    assert image.startswith("build --build-arg BASE_IMAGE=gh-runner-base:ubuntu ")
    assert f" {words} " in image
    assert image.endswith(
        f"--build-arg=RUNNER_VERSION=2.336.0 --build-arg=RUNNER_SHA256={SHA256}"
        " --build-arg=RUNNER_RELEASED=2026-08-20 ."
    )


def test_make_image_builds_nothing_that_it_knows_nothing_of(
    docker: dict[str, str], tmp_path: Path
) -> None:
    """If GitHub's API cannot be reached, the script says so before it builds anything."""
    env = {**docker, "RUNNER_VERSION": "", "RUNNER_SHA256": "", "RUNNER_RELEASED": ""}
    env["BUILD_ARGS"] = "--build-arg RUNNER_API_URL=http://127.0.0.1:1"
    command = [ROOT / "scripts/build-image"]
    done = subprocess.run(command, env=env, check=False, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("choose-runner: cannot reach http://127.0.0.1:1/latest: ")
    assert "set RUNNER_VERSION and RUNNER_SHA256" in done.stderr
    assert not (tmp_path / "calls").exists()
