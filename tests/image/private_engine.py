"""A Docker engine of a test's own: in a network of its own, with its own data, socket and group."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.image.engine import Engine
from tests.support.life import until
from tests.support.registry import registry

CLONE_NEWNET = 0x40000000  # sched.h
STOP_SECONDS = 20


@dataclass(frozen=True)
class PrivateEngine:
    """Docker's client, the engine's socket on the host, and an image that only its registry has."""

    client: Engine
    socket: Path
    image: str

    def ids(self, label: str = "") -> set[str]:
        """Return the ids of containers, networks and images, or only of those with a label."""
        filters = ["--filter", f"label={label}"] if label else []
        found = self.client("ps", "--all", "--quiet", "--no-trunc", *filters).split()
        found += self.client("network", "ls", "--quiet", "--no-trunc", *filters).split()
        return {*found, *self.client("image", "ls", "--quiet", label).split()}


@contextmanager
def private_engine(docker: Engine, folder: Path, group: int) -> Iterator[PrivateEngine]:
    """Run an engine whose socket belongs to a group, and a registry that it reaches on loopback.

    The engine has a network namespace of its own. In the machine's, it would change the bridge or
    the iptables rules of the machine's own engine.
    """
    socket = folder / "docker.sock"
    options = [
        *(f"--host=unix://{socket}", f"--data-root={folder}/data", f"--exec-root={folder}/exec"),
        *(f"--pidfile={folder}/pid", f"--group={group}"),
    ]
    start = 'ip link set lo up && exec dockerd "$@"'
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            ["unshare", "--net", "sh", "-c", start, "sh", *options], stdout=log, stderr=log
        )
    client = Engine(docker.program, {"DOCKER_HOST": f"unix://{socket}"})
    try:
        until(lambda: client.attempt("version").returncode == 0 or process.poll() is not None)
        assert process.poll() is None, (folder / "log").read_text()
        with ExitStack() as exits:
            with in_network_of(process.pid):  # a socket stays in its first namespace
                image = exits.enter_context(registry(f"gh-runner-{os.getpid()}"))
            yield PrivateEngine(client, socket, image)
    finally:
        for container in client("ps", "--all", "--quiet", check=False).split():
            client("rm", "--force", container, check=False)
        process.terminate()
        process.wait(STOP_SECONDS)
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def in_network_of(pid: int) -> Iterator[None]:
    """Move this thread into the network namespace of a process, for a `with` block."""
    libc = ctypes.CDLL(None, use_errno=True)
    descriptors = [os.open(f"/proc/{name}/ns/net", os.O_RDONLY) for name in ("thread-self", pid)]
    try:
        assert libc.setns(descriptors[1], CLONE_NEWNET) == 0, os.strerror(ctypes.get_errno())
        yield
    finally:
        assert libc.setns(descriptors[0], CLONE_NEWNET) == 0, os.strerror(ctypes.get_errno())
        for descriptor in descriptors:
            os.close(descriptor)
