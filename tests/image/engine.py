"""The `docker` and `podman` commands, as a user types them."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any

ROOT = Path(__file__).parent.parent.parent
START_SECONDS = 120  # a container that has not started by then has failed


@dataclass(frozen=True)
class Engine:
    """A client program and what it needs in its environment."""

    program: str
    env: Mapping[str, str] = field(default_factory=dict)

    def __call__(self, *arguments: str, check: bool = True, **options: Any) -> str:
        """Run a command and return its output, both streams in one; AssertionError if it fails."""
        done = self.attempt(*arguments, **options)
        assert not check or done.returncode == 0, f"{' '.join(arguments)}: {done.stdout}"
        return done.stdout.strip()

    def attempt(self, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
        """Run a command that may fail; both streams are in `stdout`."""
        command = [self.program, *arguments]
        return subprocess.run(command, check=False, **self._usual(), **options)

    def begin(self, *arguments: str) -> subprocess.Popen[str]:
        """Start a command without waiting for it; both streams are in `stdout`."""
        return subprocess.Popen([self.program, *arguments], **self._usual())

    def _usual(self) -> dict[str, Any]:
        return {
            "env": {**os.environ, "DOCKER_BUILDKIT": "1", **self.env},
            "stdout": subprocess.PIPE,
            "stderr": subprocess.STDOUT,
            "text": True,
        }

    @contextmanager
    def open(self, *arguments: str) -> Iterator[IO[str]]:
        """Start a command that prints a line per event; it is ended with the context."""
        command = [self.program, *arguments]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            try:
                yield process.stdout
            finally:
                process.terminate()

    def build(
        self,
        tag: str,
        *arguments: str,
        context: Path = ROOT,
        build_args: Mapping[str, str] = MappingProxyType({}),
    ) -> subprocess.CompletedProcess[str]:
        """Build an image on the host's network, where the tests' servers are."""
        given = [word for item in build_args.items() for word in ("--build-arg", "=".join(item))]
        common = ["--network", "host", "--progress", "plain", "--tag", tag]
        return self.attempt("build", *common, *given, *arguments, os.fspath(context))

    def image(self, name: str) -> dict[str, Any]:
        """Return what the engine knows of an image."""
        found: list[dict[str, Any]] = json.loads(self("image", "inspect", name))
        return found[0]

    def has_image(self, name: str) -> bool:
        """Return whether there is such an image."""
        return self.attempt("image", "inspect", name).returncode == 0


class Container:
    """A container that runs in the background until the test is over."""

    def __init__(self, engine: Engine, *arguments: str, wait: bool = True) -> None:
        """Start it; the arguments are options of `docker run`, the image, the command.

        Without `wait` the constructor returns at once, so that several containers start side by
        side; the first use of the container waits for it.
        """
        self._engine = engine
        self._coming = engine.begin("run", "--detach", *arguments)
        self._has_ended = False
        if wait:
            assert self.id

    @cached_property
    def id(self) -> str:
        """The engine's id of it; AssertionError with the engine's message if it did not start."""
        output, _ = self._coming.communicate(timeout=START_SECONDS)
        assert self._coming.returncode == 0, output
        return output.strip().splitlines()[-1]

    def stop(self, seconds: int = 10) -> float:
        """Stop it as `docker stop` does, and return how many seconds that took."""
        begin = time.monotonic()
        self._engine("stop", "--time", str(seconds), self.id)
        return time.monotonic() - begin

    def kill(self, signal: str = "KILL") -> None:
        """Send it SIGKILL, or another signal."""
        self._engine("kill", "--signal", signal, self.id)

    def start(self) -> None:
        """Start it once more."""
        self._has_ended = False
        self._engine("start", self.id)

    def wait(self, timeout: float = 60) -> int:
        """Wait for its end and return its exit code."""
        code = int(self._engine("wait", self.id, timeout=timeout))
        self._has_ended = True
        return code

    def execute(self, *command: str, options: Sequence[str] = ()) -> str:
        """Run a further command in it and return the output."""
        return self._engine("exec", *options, self.id, *command)

    def processes(self) -> list[str]:
        """Return the command lines of its processes."""
        return self._engine("top", self.id, "-eo", "pid,args").splitlines()[1:]

    def changes(self) -> list[str]:
        """Return the paths in which its files differ from the image's."""
        return [line.split(" ", 1)[1] for line in self._engine("diff", self.id).splitlines()]

    def logs(self) -> str:
        """Return all that it has printed."""
        return self._engine("logs", self.id)

    def state(self) -> dict[str, Any]:
        """Return the state that the engine reports of it."""
        found: list[dict[str, Any]] = json.loads(self._engine("inspect", self.id))
        return dict(found[0]["State"])

    def wait_for_health(self, status: str, timeout: float = 30) -> None:
        """Wait until HEALTHCHECK reports this status."""
        event = ["--filter", "event=health_status", "--filter", f"container={self.id}"]
        until = f"{time.time() + timeout:.0f}"
        with self._engine.open("events", "--since", "0", "--until", until, *event) as lines:
            assert any(f"health_status: {status}" in line for line in lines)

    def remove(self) -> None:
        """Remove it with its anonymous volumes, even while it runs."""
        self.discard().communicate()

    def discard(self) -> subprocess.Popen[str]:
        """Begin to remove it; if it may still be running, wait until it is gone."""
        removal = self._engine.begin("rm", "--force", "--volumes", self.id)
        if not self._has_ended:
            removal.wait()
        return removal
