"""A registry on loopback, and images of a few bytes for it."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import re
import subprocess
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests

_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
_CONFIG = "application/vnd.oci.image.config.v1+json"
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_INDEX = "application/vnd.oci.image.index.v1+json"
TIMEOUT = 30.0  # seconds of one request
ARCHITECTURES = ("amd64", "arm64")


@contextmanager
def registry(directory: Path) -> Iterator[str]:
    """Run Debian's docker-registry; return its address once it listens."""
    configuration = directory / "config.yml"
    configuration.write_text(
        f"version: 0.1\nstorage: {{filesystem: {{rootdirectory: {directory / 'data'}}}}}\n"
        "http: {addr: '127.0.0.1:0'}\nlog: {accesslog: {disabled: true}}\n"
    )
    command = ["docker-registry", "serve", os.fspath(configuration)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL) as process:
        assert process.stderr is not None
        found = (re.search(rb"listening on ([0-9.:]+)", line) for line in process.stderr)
        address = next(match.group(1).decode() for match in found if match)
        # Without a reader the pipe would fill up, and block the registry.
        threading.Thread(target=process.stderr.read, daemon=True).start()
        try:
            yield address
        finally:
            process.terminate()


def push(directory: Path, name: str, content: str, **about: Any) -> str:
    """Push an index with an image for each architecture; return its digest."""
    layout = Layout(directory)
    index = layout.index(
        [layout.image(architecture, content, about) for architecture in ARCHITECTURES]
    )
    layout.finish(index)
    target = f"docker://{name}"
    command = ["skopeo", "copy", "--all", "--preserve-digests", "--quiet"]
    subprocess.run([*command, "--dest-tls-verify=false", f"oci:{directory}:it", target], check=True)
    return str(index["digest"])


def tags(name: str) -> dict[str, str]:
    """Return the digest of each tag; none if the repository does not exist.

    Asks the registry itself: a start of skopeo for each of dozens of tags takes a second.
    """
    host, _, repository = name.partition("/")
    url = f"http://{host}/v2/{repository}"
    with requests.Session() as session:
        session.headers["Accept"] = _INDEX

        def digest(tag: str) -> str:
            answer = session.head(f"{url}/manifests/{tag}", timeout=TIMEOUT)
            answer.raise_for_status()
            return answer.headers["Docker-Content-Digest"]

        found = session.get(f"{url}/tags/list", timeout=TIMEOUT)
        return {tag: digest(tag) for tag in (found.json().get("tags") or ())}


class Layout:
    """A directory in OCI's image layout."""

    def __init__(self, directory: Path) -> None:
        self._blobs = directory / "blobs" / "sha256"
        self._blobs.mkdir(parents=True, exist_ok=True)
        self._directory = directory

    def image(self, architecture: str, content: str, about: dict[str, Any]) -> dict[str, Any]:
        """Write an image of one file and return its descriptor."""
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as archive:
            member = tarfile.TarInfo("content")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content.encode()))
        plain = buffer.getvalue()
        layer = self._blob(_LAYER, gzip.compress(plain, mtime=0))
        diff = f"sha256:{hashlib.sha256(plain).hexdigest()}"
        config = {
            "architecture": architecture,
            "os": "linux",
            "created": about.get("created", "2026-11-01T00:00:00Z"),
            "config": {"Labels": about.get("labels", {})},
            "rootfs": {"type": "layers", "diff_ids": [diff]},
        }
        manifest = {
            "schemaVersion": 2,
            "mediaType": _MANIFEST,
            "config": self._json(_CONFIG, config),
            "layers": [layer],
        }
        platform = {"architecture": architecture, "os": "linux"}
        return {**self._json(_MANIFEST, manifest), "platform": platform}

    def index(self, manifests: list[dict[str, Any]]) -> dict[str, Any]:
        """Write an index and return its descriptor."""
        index = {"schemaVersion": 2, "mediaType": _INDEX, "manifests": manifests}
        return self._json(_INDEX, index)

    def finish(self, descriptor: dict[str, Any]) -> None:
        """Write the files that make the directory a layout with one entry."""
        named = {**descriptor, "annotations": {"org.opencontainers.image.ref.name": "it"}}
        index = {"schemaVersion": 2, "manifests": [named]}
        (self._directory / "index.json").write_text(json.dumps(index))
        (self._directory / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')

    def _json(self, media_type: str, content: dict[str, Any]) -> dict[str, Any]:
        return self._blob(media_type, json.dumps(content).encode())

    def _blob(self, media_type: str, content: bytes) -> dict[str, Any]:
        digest = hashlib.sha256(content).hexdigest()
        (self._blobs / digest).write_bytes(content)
        return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(content)}
