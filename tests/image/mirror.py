"""A mirror of the runner's releases on loopback, which serves the simulator's runner.

It has GitHub's API for releases as well. Below `api` the digests are right, below `api-lying` they
belong to another file.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import platform
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from simulator.distribution import VERSION, make_distribution

# Fixed, since the address is a build argument and therefore part of the build cache's key.
ADDRESS = ("127.53.87.1", 8099)
ARCHITECTURE = {"x86_64": "x64", "aarch64": "arm64"}[platform.machine()]
EPOCH = 1_700_000_000  # modification time of every file; fixed for the same reason
RELEASED = "2026-08-20"


@dataclass(frozen=True)
class Mirror:
    """The address of the releases, the checksum of the only archive, and its architecture."""

    url: str
    sha256: str
    arch: str = ARCHITECTURE

    def build_args(self, base: str) -> dict[str, str]:
        """Return the arguments with which the Dockerfile takes the runner from this mirror."""
        return {
            "BASE_IMAGE": base,
            "RUNNER_RELEASED": RELEASED,
            "RUNNER_SHA256": self.sha256,
            "RUNNER_URL": self.url,
            "RUNNER_VERSION": VERSION,
        }

    def asked_args(self, base: str, api: str = "api", **more: str) -> dict[str, str]:
        """Return the arguments with which the Dockerfile asks this mirror's API for the release.

        The build cache keeps an answer as long as RUNNER_LOOKUP is the same, so that names the
        archive.
        """
        return {
            "BASE_IMAGE": base,
            "RUNNER_API_URL": f"{self.url}/{api}",
            "RUNNER_URL": self.url,
            **more,
            "RUNNER_LOOKUP": f"{self.sha256}{more.get('RUNNER_LOOKUP', '')}",
        }


@contextmanager
def mirror(directory: Path) -> Iterator[Mirror]:
    """Serve the release from a directory with a fixed name."""
    content = _archive(directory / "distribution")
    sha256 = hashlib.sha256(content).hexdigest()
    name = f"actions-runner-linux-{ARCHITECTURE}-{VERSION}.tar.gz"
    _put(directory / "releases" / f"v{VERSION}" / name, content)
    for api, digest in (("api", sha256), ("api-lying", "0" * 64)):
        release = {
            "tag_name": f"v{VERSION}",
            "published_at": f"{RELEASED}T08:00:00Z",
            "assets": [{"name": name, "digest": f"sha256:{digest}"}],
        }
        for path in ("latest", f"tags/v{VERSION}"):
            _put(directory / "releases" / api / path, json.dumps(release).encode())
    handler = partial(_Quiet, directory=str(directory / "releases"))
    server = ThreadingHTTPServer(ADDRESS, handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield Mirror("http://{}:{}".format(*ADDRESS), sha256)
    finally:
        server.shutdown()
        server.server_close()


def _put(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *arguments: object) -> None:
        """Print nothing."""


def _archive(directory: Path) -> bytes:
    """Return the archive; its bytes change only if the simulator changes.

    Its `bin/simulator.json` has an address where no server is: each container mounts its own file.
    """
    root = make_distribution(
        directory, url="http://simulator.invalid", interpreter="/usr/bin/python3"
    )
    buffer = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=buffer, mode="wb", mtime=EPOCH) as packed,
        tarfile.open(fileobj=packed, mode="w") as archive,
    ):
        for path in sorted(root.rglob("*")):
            archive.add(path, f"./{path.relative_to(root)}", recursive=False, filter=_plain)
    return buffer.getvalue()


def _plain(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.mtime = EPOCH
    member.uid = member.gid = 0
    member.uname = member.gname = "root"
    member.mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
    return member
