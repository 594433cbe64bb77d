"""What children of PID 1 ask a container engine: to answer, and to remove what a job has left."""

from __future__ import annotations

import grp
import os
import socket
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress

GROUP = "docker"  # its members may use our own engine; the name is that of Docker's packages
_ASK_EVERY = 0.05  # seconds
_COMMAND_TIMEOUT = 8.0  # seconds


def await_answer(address: str, deadline: float, *, own: bool) -> str:
    """Ask an engine until it answers, and return ""; at the deadline return why it does not.

    docker and podman both have Docker's API. The socket of our `own` engine is then given to the
    group `docker`. The socket of an engine that was given is never changed.
    """
    why = "it does not answer"
    while time.monotonic() < deadline:
        try:
            if _answers(address):
                if own:
                    _give_to_group(address.removeprefix("unix://"))
                return ""
        except OSError as error:
            why = str(error.strerror or error)
        time.sleep(_ASK_EVERY)
    return why


def _answers(address: str) -> bool:
    scheme, _, place = address.partition("://")
    if scheme == "unix":
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(1)
        connection.connect(place)
    elif scheme == "tcp":
        host, _, port = place.partition("/")[0].rpartition(":")
        connection = socket.create_connection((host.strip("[]"), int(port)), timeout=1)
        if port == "2376":  # Docker's port for TLS: any server that accepts there counts as one
            connection.close()
            return True
    else:
        return True  # ssh:// and others cannot be tried here; GitHub's runner will report an error
    with connection:
        connection.sendall(b"GET /_ping HTTP/1.0\r\n\r\n")
        return b" 200 " in connection.recv(64)


def _give_to_group(path: str) -> None:
    with suppress(KeyError):
        os.chown(path, 0, grp.getgrnam(GROUP).gr_gid)
        os.chmod(path, 0o660)


def remove_labelled(label: str, environment: Mapping[str, str]) -> list[str]:
    """Remove containers, networks and images of one runner; return what could not be removed.

    GitHub's runner gives the label to the containers and networks of a job, and tags the images of
    container actions with it. Only the label is used to find them, because other runners may use
    the same engine.
    """
    if not _run(environment, "version", "--format", "{{.Server.Version}}").stdout.strip():
        return ["the docker command gets no answer of the engine"]
    wanted = f"label={label}"
    problems = []
    containers = _ids(environment, "ps", "--all", "--quiet", "--filter", wanted)
    networks = _ids(environment, "network", "ls", "--quiet", "--filter", wanted)
    images = _ids(environment, "images", "--quiet", label)
    for words, ids in (
        (("rm", "--force", "--volumes"), containers),
        (("network", "rm"), networks),
        (("rmi", "--force"), images),
    ):
        if ids:
            done = _run(environment, *words, *ids)
            if done.returncode != 0:
                problems.append(" ".join(done.stderr.split())[-300:])
    return problems


def _ids(environment: Mapping[str, str], *words: str) -> list[str]:
    return sorted(set(_run(environment, *words).stdout.split()))


def _run(environment: Mapping[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    """Run the docker command; if it is missing or hangs, return an empty output and code 1."""
    command = ["docker", *words]
    try:
        return subprocess.run(
            command,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_COMMAND_TIMEOUT,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return subprocess.CompletedProcess(command, 1, "", str(error))
