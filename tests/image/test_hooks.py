"""The image with GitHub's container hooks, for scale sets in the mode "kubernetes"."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path

import pytest

from tests.image.conftest import WORK
from tests.image.engine import ROOT, Engine
from tests.image.mirror import Mirror

VERSION = "0.0.1"  # the version that the mirror has
DOCKERFILE = ROOT / "deploy/kubernetes/arc/hooks.Dockerfile"
HOOKS = "/home/runner/k8s"


@pytest.fixture
def archive(releases: Mirror) -> tuple[str, str]:
    """A release of the hooks in the mirror: its address and its checksum."""
    folder = WORK / "releases" / f"v{VERSION}"
    folder.mkdir(exist_ok=True)
    path = folder / f"actions-runner-hooks-k8s-{VERSION}.zip"
    with zipfile.ZipFile(path, "w") as made:
        made.writestr("index.js", "// hooks\n")
    return releases.url, hashlib.sha256(path.read_bytes()).hexdigest()


def build(docker: Engine, image: str, archive: tuple[str, str], context: Path) -> tuple[int, str]:
    """Build the image in an empty folder; return the exit code and the output."""
    url, checksum = archive
    arguments = {"BASE_IMAGE": image, "HOOKS_VERSION": VERSION, "HOOKS_URL": url}
    if checksum:
        arguments["HOOKS_SHA256"] = checksum
    options = ("--file", str(DOCKERFILE))
    done = docker.build("gh-runner-test:hooks", *options, context=context, build_args=arguments)
    return done.returncode, done.stdout


def test_hooks(docker: Engine, image: str, archive: tuple[str, str], tmp_path: Path) -> None:
    """The hooks are where the chart expects them; jobs can read and not change them."""
    code, output = build(docker, image, archive, tmp_path)
    assert code == 0, output
    run = ("run", "--rm", "gh-runner-test:hooks", "exec", "--", "setpriv", "--reuid=runner")
    tried = "cat index.js; echo x >>index.js || echo read-only"
    said = docker(*run, "--clear-groups", "sh", "-c", f"cd {HOOKS}; {tried}")
    assert "// hooks" in said
    assert "read-only" in said


@pytest.mark.parametrize("checksum", ["", "0" * 64])
def test_checksum(
    checksum: str, docker: Engine, image: str, archive: tuple[str, str], tmp_path: Path
) -> None:
    """An archive with another checksum, or without one, is refused."""
    code, output = build(docker, image, (archive[0], checksum), tmp_path)
    assert code != 0
    assert ("checksum of the archive is missing" if not checksum else "FAILED") in output
