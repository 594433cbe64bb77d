"""What children of PID 1 ask a container engine: to answer, and to remove what a job has left."""

from __future__ import annotations

import grp
import http.client
import json
import os
import re
import socket
import subprocess
import time
from collections.abc import Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from entrypoint.lifecycle.engine import SOCKET

GROUP = "docker"  # its members may use our own engine; the name is that of Docker's packages
_ASK_EVERY = 0.05  # seconds
_MOST_PATIENCE = 1.0  # seconds that one try may take
_PORT, _TLS_PORT = 2375, 2376  # Docker's own
_HIGHEST_PORT = 65535
_PLACE = re.compile(r"(?P<host>[^:\[\]]*|\[[0-9A-Fa-f:.%\w]+\])(:(?P<port>[0-9]{1,5}))?")
_COMMAND_TIMEOUT = 8.0  # seconds
_REMOVAL_ROUNDS = 3
# The label of a job's container or network (see `remove_labelled`), and the label of a container in
# which a runner runs: it has the labels of our image.
_ASSIGNED = re.compile(r"(^|,)([0-9a-f]{6}=|gh-runner\.runner\.version=[^,]*)(,|$)")


def await_answer(address: str, deadline: float, *, own: bool) -> str:
    """Ask an engine until it answers, and return ""; at the deadline return why it does not.

    `deadline` is a moment of time.monotonic(). docker and podman both have Docker's API. The socket
    of our `own` engine is then given to the group `docker`. The socket of an engine that was given
    is never changed. An address that no engine can have is not asked, and told at once.
    """
    why = "it does not answer"
    while (left := deadline - time.monotonic()) > 0:
        try:
            if _answers(address, min(left, _MOST_PATIENCE)):
                if own:
                    _give_to_group(address.removeprefix("unix://"))
                return ""
            why = "it does not answer as an engine does"
        except OSError as error:
            why = str(error.strerror or error)
        except ValueError as error:
            return str(error)
        time.sleep(_ASK_EVERY)
    return why


def _answers(address: str, seconds: float) -> bool:
    """Ask an engine once. Raises OSError if that fails, and ValueError if there can be none."""
    scheme, _, place = address.rpartition("://")
    if scheme == "unix":
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(seconds)
        connection.connect(place or SOCKET)
    elif scheme in ("", "tcp"):  # Docker's client takes a bare word for tcp://, too
        host, port = _host_and_port(place)
        connection = socket.create_connection((host, port), timeout=seconds)
        if port == _TLS_PORT:  # any server that accepts there counts as an engine
            connection.close()
            return True
    elif scheme == "ssh":
        return True  # it cannot be tried here; GitHub's runner will report an error
    else:
        raise ValueError(f"Docker's client takes no address that begins with {scheme}://")
    with connection:
        connection.sendall(b"GET /_ping HTTP/1.0\r\n\r\n")
        return b" 200 " in connection.recv(64)


def _host_and_port(place: str) -> tuple[str, int]:
    """Return where an address tcp://PLACE leads; Docker's client has defaults for both."""
    if place.startswith("/"):
        raise ValueError(f"it is a path; the address of a socket is unix://{place}")
    found = _PLACE.fullmatch(place.partition("/")[0])
    port = int(found["port"] or _PORT) if found else 0
    if found is None or not 0 < port <= _HIGHEST_PORT:
        raise ValueError("it is no address of the form tcp://HOST:PORT")
    return found["host"].strip("[]") or "localhost", port


def about(address: str) -> tuple[str, str]:
    """Return an engine's version and its storage driver; "" for each that it does not tell."""
    return _told(address, "/version", "Version"), _told(address, "/info", "Driver")


def _told(address: str, path: str, member: str) -> str:
    asking = http.client.HTTPConnection("localhost", timeout=_COMMAND_TIMEOUT)
    try:
        asking.sock = socket.socket(socket.AF_UNIX)
        asking.sock.settimeout(_COMMAND_TIMEOUT)
        asking.sock.connect(address.removeprefix("unix://"))
        asking.request("GET", path)
        return str(json.loads(asking.getresponse().read()).get(member, ""))
    except (OSError, ValueError, http.client.HTTPException):
        return ""
    finally:
        asking.close()


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
    # More than one round, because a command of the runner that was killed may still go on in the
    # engine.
    problems: list[str] = []
    for _ in range(_REMOVAL_ROUNDS):
        containers, networks, images, silent = _labelled(label, environment)
        if silent or not [*containers, *networks, *images]:
            return silent
        removed = _remove(environment, ("rm", "--force", "--volumes"), containers)
        removed += _remove(environment, ("network", "rm"), networks)
        problems = _problems([*removed, *_remove(environment, ("rmi", "--force"), images)])
    return problems


def _labelled(
    label: str, environment: Mapping[str, str]
) -> tuple[list[str], list[str], list[str], list[str]]:
    """Return the ids of containers, networks and images, and why the engine does not tell them."""
    wanted = f"label={label}"
    listed = _run(
        environment,
        ("ps", "--all", "--quiet", "--filter", wanted),
        ("network", "ls", "--quiet", "--filter", wanted),
        ("images", "--quiet", label),
    )
    containers, networks, images = (done.stdout.split() for done in listed)
    # A step may have put a container of its own on the job's network. It belongs to this job, and
    # while it runs the network cannot be removed.
    there = [("ps", "--all", "--quiet", "--filter", f"network={network}") for network in networks]
    for done in _run(environment, *there):
        containers += done.stdout.split()
    return containers, networks, images, _problems(listed)


def _remove(
    environment: Mapping[str, str], words: tuple[str, ...], ids: Collection[str]
) -> list[subprocess.CompletedProcess[str]]:
    return _run(environment, (*words, *sorted(set(ids)))) if ids else []


def _problems(commands: Iterable[subprocess.CompletedProcess[str]]) -> list[str]:
    """Return the end of what each failed command has said."""
    return [
        " ".join(done.stderr.split())[-300:] or f"docker {done.args[1]} ended with 1"
        for done in commands
        if done.returncode != 0
    ]


def unassigned(environment: Mapping[str, str]) -> dict[str, str] | None:
    """Return the containers and networks without the label of a runner: their names, by their ids.

    None if the engine does not tell.
    """
    containers = "{{.ID}}\tcontainer {{.Names}} ({{.Image}})\t{{.Labels}}"
    networks = "{{.ID}}\tnetwork {{.Name}}\t{{.Labels}}"
    listed = _run(
        environment,
        ("ps", "--all", "--no-trunc", "--format", containers),
        ("network", "ls", "--no-trunc", "--format", networks),
    )
    if _problems(listed):
        return None
    found = {}
    for line in "".join(done.stdout for done in listed).splitlines():
        ident, _, rest = line.partition("\t")
        name, _, labels = rest.partition("\t")
        if not _ASSIGNED.search(labels):
            found[ident] = name
    return found


def _run(
    environment: Mapping[str, str], *commands: tuple[str, ...]
) -> list[subprocess.CompletedProcess[str]]:
    """Run docker commands side by side, because each takes a while to start.

    A command that is missing or hangs counts as one that failed: code 1 and its error.
    """
    with ThreadPoolExecutor() as pool:
        return list(pool.map(lambda words: _run_one(environment, words), commands))


def _run_one(
    environment: Mapping[str, str], words: tuple[str, ...]
) -> subprocess.CompletedProcess[str]:
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
