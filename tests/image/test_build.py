"""How the images are built: their layers, their sizes, and builds that must fail."""

from __future__ import annotations

import json
import shutil
import subprocess
import tarfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.image.conftest import HERE
from tests.image.engine import ROOT, Engine
from tests.image.mirror import Mirror

LAST_LAYER_BYTES = 2_000_000
CACHES = ("root/.cache", "var/cache/apt/archives/", "var/lib/apt/lists/", "var/cache/debconf/old")


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    """A copy of all files that the image is built from."""
    for name in ("Dockerfile", ".dockerignore", "requirements.lock"):
        shutil.copy(ROOT / name, tmp_path)
    for name in ("entrypoint", "image"):
        shutil.copytree(ROOT / name, tmp_path / name)
    return tmp_path


def test_change_of_code_rebuilds_one_small_layer(
    docker: Engine, image: str, slim_base: str, releases: Mirror, sources: Path
) -> None:
    """After a change of the program only the layer with the program is built anew."""
    (sources / "entrypoint" / "change.py").write_text("CHANGED = True\n")
    tag = "gh-runner-test:changed"
    done = docker.build(tag, context=sources, build_args=releases.build_args(slim_base))
    assert done.returncode == 0, done.stdout
    before, after = (docker.image(name)["RootFS"]["Layers"] for name in (image, tag))
    assert before[:-1] == after[:-1]
    assert before[-1] != after[-1]
    sizes = docker("history", "--human=false", "--format", "{{.Size}}", tag).split()
    docker("image", "rm", tag)
    assert 0 < next(size for size in map(int, sizes) if size) < LAST_LAYER_BYTES


def layers_on(
    system: str, docker: Engine, image: str, directory: Path
) -> list[list[tarfile.TarInfo]]:
    """Return the members of each layer that an image adds to the system below."""
    below = len(docker.image(system)["RootFS"]["Layers"])
    archive = directory / "image.tar"
    docker("save", "--output", str(archive), image)
    with tarfile.open(archive) as saved:
        manifest = saved.extractfile("manifest.json")
        assert manifest is not None
        names: list[str] = json.load(manifest)[0]["Layers"]
        found = []
        for name in names[below:]:
            with tarfile.open(fileobj=saved.extractfile(name)) as layer:
                found.append(layer.getmembers())
    archive.unlink()
    return found


def test_layers_hold_nothing_twice_and_no_cache(
    docker: Engine, image: str, system: str, tmp_path: Path
) -> None:
    """No layer has package lists or caches, and each file of the runner is in one layer only."""
    ours = layers_on(system, docker, image, tmp_path)
    files = [member.name for layer in ours for member in layer if member.isfile() and member.size]
    assert [name for name in files if name.startswith(CACHES)] == []
    runner = Counter(name for name in files if name.startswith(("home/runner/", "opt/")))
    assert runner["home/runner/run.sh"] == 1
    assert [name for name, count in runner.items() if count > 1] == []


def test_slim_is_at_most_half_of_full(docker: Engine, slim_base: str, full_base: str) -> None:
    """The base without engines has at most half the size of the full one."""
    assert docker.image(slim_base)["Size"] <= docker.image(full_base)["Size"] / 2


def test_image_describes_itself(docker: Engine, image: str) -> None:
    """The image's labels and configuration have its usage, stop signal, health check and origin."""
    config: dict[str, Any] = docker.image(image)["Config"]
    assert config["Entrypoint"][:2] == ["/usr/bin/env", "--block-signal"]
    assert not config["Cmd"]
    assert config["StopSignal"] == "SIGTERM"
    assert config["Healthcheck"]["Test"] == ["CMD", "/usr/local/bin/gh-runner", "status"]
    labels = {name.removeprefix("org.opencontainers.image.") for name in config["Labels"]}
    assert labels >= {"title", "description", "licenses", "source", "revision", "version"}


@pytest.fixture
def bad_base(docker: Engine, slim_base: str, system: str, request: pytest.FixtureRequest) -> str:
    """A base with a defect: the name of a target of bad-bases.Dockerfile."""
    if request.param == "good":
        return slim_base
    tag = f"gh-runner-test-bad:{request.param}"
    bases = {"BASE_IMAGE": slim_base, "SYSTEM_IMAGE": system}
    options = ["--file", str(HERE / "bad-bases.Dockerfile"), "--target", request.param]
    done = docker.build(tag, *options, context=HERE, build_args=bases)
    assert done.returncode == 0, done.stdout
    return tag


@pytest.mark.parametrize(
    ("bad_base", "wrong", "reason"),
    [
        ("good", {"RUNNER_SHA256": "0" * 64}, "but RUNNER_SHA256 is 0000"),
        ("good", {"TARGETARCH": "riscv64"}, "no runner for riscv64, only for x64 and arm64"),
        ("good", {"RUNNER_VERSION": "9.9.9"}, "is there a version 9.9.9 for"),
        ("good", {"RUNNER_URL": "http://127.0.0.1:1"}, "cannot download http://127.0.0.1:1/v2"),
        ("no-python", {}, "the base image has no python3"),
        ("old-python", {}, "the base image has Python 3.10.9; 3.11 or later is needed"),
        ("no-venv", {}, "lacks venv (on Debian and Ubuntu: python3-venv)"),
        ("old-coreutils", {}, "coreutils 8.31 or later is needed"),
        ("bare", {}, "the base image has no "),
        ("no-user", {}, "no user runner; Dockerfile.base.* make bases that have"),
    ],
    indirect=["bad_base"],
)
def test_bad_build_stops_with_the_reason(
    bad_base: str, wrong: dict[str, str], reason: str, docker: Engine, releases: Mirror
) -> None:
    """A build whose image could not be a runner fails, and names the reason."""
    build_args = {**releases.build_args(bad_base), **wrong}
    target = ["--target", "venv"] if bad_base.endswith(("python", "venv", "coreutils")) else []
    done = docker.build("gh-runner-test:bad", *target, build_args=build_args)
    assert done.returncode != 0
    assert reason in done.stdout


def test_shell_scripts_have_no_bashism() -> None:
    """Scripts that run during a build are POSIX shell, since a base may have no bash."""
    firsts = {
        path: path.read_text().partition("\n")[0]
        for path in (ROOT / "image").iterdir()
        if path.is_file() and path.stat().st_mode & 0o100
    }
    shells = [path for path, first in firsts.items() if "python" not in first]
    assert {firsts[path] for path in shells} == {"#!/bin/sh"}
    for path in shells:
        subprocess.run(["dash", "-n", path], check=True)
