"""A registry on loopback with one small image: a shell, and a few of the host's programs.

Docker allows plain http to every registry on 127.0.0.0/8.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import platform
import re
import shutil
import subprocess
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

PROGRAMS = ("sh", "sleep", "tail", "cat")
ARCHITECTURE = {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()]
MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
CONFIG = "application/vnd.docker.container.image.v1+json"
LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"


@contextmanager
def registry(name: str) -> Iterator[str]:
    """Serve the image under a name; the value is the reference for `docker pull`."""
    blobs, manifest = _image()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(with_body=True)

        def do_HEAD(self) -> None:
            self._answer(with_body=False)

        def _answer(self, with_body: bool) -> None:
            kind, content = _content(self.path, name, blobs, manifest)
            self.send_response(200 if content is not None else 404)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content or b"")))
            self.send_header("Docker-Content-Digest", _digest(content or b""))
            self.end_headers()
            if with_body:
                self.wfile.write(content or b"")

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_port}/{name}:latest"
        server.shutdown()


def _content(
    path: str, name: str, blobs: dict[str, bytes], manifest: bytes
) -> tuple[str, bytes | None]:
    if path == "/v2/":
        return "application/json", b"{}"
    if path.startswith(f"/v2/{name}/manifests/"):
        return MANIFEST, manifest
    return "application/octet-stream", blobs.get(path.removeprefix(f"/v2/{name}/blobs/"))


@cache
def _image() -> tuple[dict[str, bytes], bytes]:
    layer = _layer()
    packed = gzip.compress(layer, compresslevel=1, mtime=0)
    config = _json(
        {
            "architecture": ARCHITECTURE,
            "os": "linux",
            "config": {"Cmd": ["sleep", "600"], "Env": ["PATH=/bin"]},
            "rootfs": {"type": "layers", "diff_ids": [_digest(layer)]},
        }
    )
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": _entry(CONFIG, config),
        "layers": [_entry(LAYER, packed)],
    }
    return {_digest(blob): blob for blob in (config, packed)}, _json(manifest)


def _layer() -> bytes:
    """Return the programs and the libraries that ldd names for them."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for path in sorted({*_needed(), *(f"/bin/{program}" for program in PROGRAMS)}):
            archive.add(Path(shutil.which(Path(path).name) or path).resolve(), path.lstrip("/"))
    return buffer.getvalue()


def _needed() -> set[str]:
    programs = [str(shutil.which(program)) for program in PROGRAMS]
    said = subprocess.run(["ldd", *programs], check=True, capture_output=True, text=True).stdout
    return set(re.findall(r"(/\S+) \(0x", said))


def _entry(kind: str, content: bytes) -> dict[str, Any]:
    return {"mediaType": kind, "size": len(content), "digest": _digest(content)}


def _digest(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()


def _json(value: object) -> bytes:
    return json.dumps(value).encode()
