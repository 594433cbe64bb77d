"""A repository in a registry of images, through skopeo, which copies whole indexes unchanged."""

from __future__ import annotations

import hashlib
import json
import subprocess
from typing import Any

from release.errors import Refusal

# Docker allows plain HTTP to registries on loopback, and so does this.
_LOOPBACK = ("127.", "localhost:", "[::1]")
# Words of registries and of skopeo for a tag or a repository that does not exist.
_NOT_THERE = ("manifest unknown", "name unknown", "name not known", "404 (Not Found)")
TIMEOUT = "15m"


class Repository:
    """One name in a registry, such as ghcr.io/acme/gh-runner; skopeo has the credentials."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._verify = "false" if name.startswith(_LOOPBACK) else "true"

    def tags(self) -> list[str]:
        """Return all tags; none if the repository does not exist."""
        output = self._ask("list-tags", f"docker://{self.name}")
        return [] if output is None else list(json.loads(output)["Tags"])

    def digest(self, tag: str) -> str:
        """Return the digest that a tag leads to; raise a Refusal if there is no such tag."""
        where = f"docker://{self.name}:{tag}"
        raw = self._ask("inspect", "--raw", where)
        if raw is None:
            raise Refusal(f"there is no {where}")
        return f"sha256:{hashlib.sha256(raw).hexdigest()}"

    def image(self, tag: str) -> dict[str, Any]:
        """Return an image's data, with `Created` and `Labels`; empty if there is no such image."""
        output = self._ask(
            "--override-os=linux", "inspect", "--no-tags", f"docker://{self.name}:{tag}"
        )
        return {} if output is None else dict(json.loads(output))

    def bring(self, source: Repository, digest: str) -> None:
        """Copy an image here with all its architectures; it gets no tag."""
        self._copy(source, digest, f"docker://{self.name}@{digest}", "all")

    def tag(self, digest: str, tag: str) -> None:
        """Point a tag to an image that is here already."""
        self._copy(self, digest, f"docker://{self.name}:{tag}", "index-only")

    def _copy(self, source: Repository, digest: str, target: str, extent: str) -> None:
        origin = f"docker://{source.name}@{digest}"
        verify = [f"--src-tls-verify={source._verify}", f"--dest-tls-verify={self._verify}"]
        options = [f"--multi-arch={extent}", "--preserve-digests", "--quiet", *verify]
        done = _skopeo("copy", *options, origin, target)
        if done.returncode:
            raise Refusal(f"cannot copy {origin} to {target}: {_reason(done)}")

    def _ask(self, *words: str) -> bytes | None:
        """Run skopeo; None if there is no such image, a Refusal after any other error.

        A registry that does not answer must not be taken for one without the tag.
        """
        verify = f"--tls-verify={self._verify}"
        command = [*words[:-1], verify, words[-1]]
        done = _skopeo(*command)
        if done.returncode == 0:
            return done.stdout
        if any(known in _reason(done) for known in _NOT_THERE):
            return None
        raise Refusal(f"cannot read {words[-1]}: {_reason(done)}")


def _skopeo(*words: str) -> subprocess.CompletedProcess[bytes]:
    command = ["skopeo", f"--command-timeout={TIMEOUT}", *words]
    return subprocess.run(command, capture_output=True, check=False)


def _reason(done: subprocess.CompletedProcess[bytes]) -> str:
    lines = done.stderr.decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else f"skopeo ended with {done.returncode}"
