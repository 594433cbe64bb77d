"""An index of Python packages on loopback, with packages that are made for a test."""

from __future__ import annotations

import hashlib
import io
import threading
import zipfile
from collections.abc import Iterable
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self


def wheel(name: str, version: str, *metadata: str, size: int = 0) -> bytes:
    """Return a package of one module, with more lines of metadata and `size` zero bytes."""
    info = f"{name}-{version}.dist-info"
    lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}", *metadata, ""]
    members = {
        f"{name}.py": b"",
        f"{name}.data.bin": bytes(size),
        f"{info}/METADATA": "\n".join(lines).encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    members[f"{info}/RECORD"] = "".join(f"{path},,\n" for path in members).encode()
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
        for path, content in members.items():
            packed.writestr(path, content)
    return archive.getvalue()


def file_name(name: str, version: str) -> str:
    """Return the name of a package's file."""
    return f"{name}-{version}-py3-none-any.whl"


class PackageIndex:
    """The index: `files` are its files by path, `asked` the paths of its requests."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.asked: list[str] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, self))
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def url(self) -> str:
        """The value for PIP_INDEX_URL."""
        return f"http://127.0.0.1:{self._server.server_port}/simple"

    def add(self, name: str, version: str, *metadata: str, size: int = 0) -> None:
        """Offer a release."""
        self.files[file_name(name, version)] = wheel(name, version, *metadata, size=size)

    def lock(self, releases: Iterable[str]) -> str:
        """Return a lock file with these releases (NAME==VERSION) and their checksums."""
        return "".join(
            f"{release} \\\n    --hash=sha256:{self._checksum(release)}\n" for release in releases
        )

    def _checksum(self, release: str) -> str:
        return hashlib.sha256(self.files[file_name(*release.split("=="))]).hexdigest()

    def __enter__(self) -> Self:
        """Begin to answer."""
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        """Answer no more."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Handler(BaseHTTPRequestHandler):
    def __init__(self, index: PackageIndex, *connection: object) -> None:
        self._index = index
        super().__init__(*connection)  # type: ignore[arg-type] # what the server passes on

    def do_GET(self) -> None:
        self._index.asked.append(self.path)
        *_, name = self.path.rstrip("/").split("/")
        if self.path.startswith("/files/"):
            self._answer(self._index.files.get(name))
            return
        offered = [file for file in self._index.files if file.startswith(f"{name}-")]
        links = "".join(f'<a href="/files/{file}">{file}</a>' for file in offered)
        self._answer(links.encode() if offered else None)

    def do_CONNECT(self) -> None:
        """Refuse a client that takes the index for a proxy."""
        self.send_error(403)

    def _answer(self, body: bytes | None) -> None:
        self.send_response(404 if body is None else 200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body or b"")))
        self.end_headers()
        self.wfile.write(body or b"")

    def log_message(self, *_: object) -> None:
        """Say nothing."""
