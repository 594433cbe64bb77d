"""Which container engine jobs get, how it is started, and what jobs cannot do with it.

PID 1 itself does not load this module: its children and the subcommands do.
"""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Mapping
from contextlib import suppress
from ipaddress import IPv4Address, IPv4Network
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from entrypoint import log
from entrypoint.container import kernel
from entrypoint.container.account import Account, can
from entrypoint.errors import ExitCode, Failure
from entrypoint.lifecycle.engine import ADDRESS, SOCKET, WAIT, given_address
from entrypoint.runner import program
from entrypoint.settings import proxies
from entrypoint.settings.schema import Settings

CONFIGURATION = "/etc/docker/daemon.json"
PROGRAMS = {"docker": "dockerd", "podman": "podman"}
_ETHERNET_MTU = 1500
# podman 5.6 comes with netavark 1.16, which gives networks the MTU of the default route
# (netavark#1281).
_PODMAN_WITH_MTU = [5, 6]
# 172.17.0.0 to 172.31.255.255, and 192.168.0.0 to 192.168.255.255 (moby, libnetwork/ipamutils).
_DOCKER_POOLS = (
    *(IPv4Network((f"172.{n}.0.0", 16)) for n in range(17, 32)),
    IPv4Network("192.168.0.0/16"),
)
_BRIDGE = "docker0"  # dockerd's default network has taken its addresses from the pools already
_LOOK_UP_TIMEOUT = 1.0  # seconds


class Choice(NamedTuple):
    """Which engine jobs get (docker, podman, given or none), and why."""

    kind: str
    why: str


def choose(settings: Settings, environ: Mapping[str, str]) -> Choice:
    """Return which engine jobs get.

    With `auto` that is the first of these: an engine at DOCKER_HOST, an engine whose socket is
    mounted, dockerd, podman. The last two need CAP_SYS_ADMIN, which a container has under sysbox.
    """
    if settings.engine in PROGRAMS:
        return Choice(settings.engine, "RUNNER_ENGINE names it")
    if settings.engine == "none":
        return Choice("none", "RUNNER_ENGINE is none")
    if address := environ.get(ADDRESS):
        return Choice("given", f"{ADDRESS} is {address}")
    if _is_given(SOCKET):
        return Choice("given", f"{SOCKET} is mounted")
    return _of_this_container(environ)


def _is_given(path: str) -> bool:
    """Return whether an engine outside of this container has its socket at a path.

    An engine that was killed leaves its socket in the container's own file system, where a second
    start of the same container finds it. Nothing listens there, and nothing is mounted.
    """
    try:
        if os.stat(path).st_dev != os.stat("/").st_dev:
            return True
    except OSError:
        return False
    import socket

    with socket.socket(socket.AF_UNIX) as asking:
        asking.settimeout(1)
        try:
            asking.connect(path)
        except ConnectionRefusedError:
            return False
        except OSError:  # the engine is slow, or this user may not connect
            pass
    return True


def _of_this_container(environ: Mapping[str, str]) -> Choice:
    if not kernel.has_capability(kernel.CAP_SYS_ADMIN, "CapEff"):
        return Choice("none", "this container may make no containers (it lacks CAP_SYS_ADMIN)")
    for kind, name in PROGRAMS.items():
        if _installed(name, environ):
            return Choice(kind, f"{name} is installed")
    return Choice("none", "neither dockerd nor podman is installed")


def _installed(name: str, environ: Mapping[str, str]) -> str:
    """Return the path of a program; "" if it is not on the PATH that the engine gets."""
    return shutil.which(name, path=environ.get("PATH") or program.PATH) or ""


def path_of(kind: str, environ: Mapping[str, str]) -> str:
    """Return the path of the program that is an engine. Raises a Failure (69) if it is missing."""
    name = PROGRAMS[kind]
    if path := _installed(name, environ):
        return path
    raise Failure(
        ExitCode.ENGINE,
        f"RUNNER_ENGINE: this image has no {name}",
        "take the full variant of the image, or set RUNNER_ENGINE=none",
    )


def hint(kind: str) -> str:
    """Return what an operator can do if the engine does not start, or does not answer."""
    if kind == "given":
        return f"see to the engine at {ADDRESS} or {SOCKET}, or give it more time ({WAIT})"
    return (
        "run the container under sysbox (--runtime sysbox-runc) or with what the engine needs, or"
        " set RUNNER_ENGINE=none"
    )


def unanswered(address: str, seconds: float, why: str) -> Failure:
    """Return the Failure that ends a life whose engine elsewhere has not answered in time."""
    message = f"the container engine at {address} has not answered within {seconds:g} s ({WAIT})"
    return Failure(ExitCode.ENGINE, f"{message}: {why}", hint("given"))


def socket_of(address: str) -> str:
    """Return the path of the Unix socket that an address such as DOCKER_HOST names; "" if none."""
    scheme, _, path = address.partition("://")
    return (path or SOCKET) if scheme == "unix" else ""


def command(kind: str, values: Mapping[str, Any], environ: Mapping[str, str]) -> list[str]:
    """Return the command that starts an engine, for which it runs `dockerd --help`.

    `values` are those of all settings, `environ` is what the engine gets. Warns if the networks of
    jobs will be too wide. Raises a Failure (69) if the engine is not installed.
    """
    settings = Settings(**values)
    path, options = path_of(kind, environ), shlex.split(settings.engine_options)
    if kind == "podman":
        return [path, "system", "service", "--time=0", *options, f"unix://{SOCKET}"]
    found = docker_options(settings)
    given = {word.partition("=")[0]: word.partition("=")[2] for word in found}
    if "--mtu" in given and "--default-network-opt" not in given:
        _warn_of_networks(given["--mtu"], "Docker 24")
    return [path, f"--host=unix://{SOCKET}", *found, *options]


def warn_of(
    kind: str, values: Mapping[str, Any], environ: Mapping[str, str], version: str, driver: str
) -> None:
    """Warn of what is slow, too old or in the way in an engine that was started here."""
    settings = Settings(**values)
    numbers = [int(part) for part in version.split(".")[:2] if part.isdigit()]
    is_old = kind == "podman" and numbers < _PODMAN_WITH_MTU
    if is_old and (mtu := settings.engine_mtu or default_mtu()):
        _warn_of_networks(str(mtu), "podman 5.6")
    if driver == "vfs":
        log.warning(
            "engine.slow",
            "the engine copies whole images (storage driver vfs): it is slow, and fills the disk",
            hint="mount a volume at its data root, /var/lib/docker or /var/lib/containers",
        )
    if kind == "docker" and not _has_own_pool(settings):
        _warn_of_addresses(settings, environ)


def _has_own_pool(settings: Settings) -> bool:
    is_option = "--default-address-pool" in settings.engine_options
    is_configured = "default-address-pools" in _configuration(CONFIGURATION)
    return bool(settings.engine_pool) or is_option or is_configured


def _warn_of_addresses(settings: Settings, environ: Mapping[str, str]) -> None:
    """Warn if a network that a job creates can take the address of GitHub or of the proxy.

    dockerd gives each network a free range of its pools. It only leaves out what this container
    has a route to, and what is behind the default route has none of its own.
    """
    url = settings.target.api_url
    for name in (urlsplit(url).hostname, urlsplit(proxies.choose(environ, url)).hostname):
        for address in _addresses(name or ""):
            if in_pool(address) and not has_route(address):
                log.warning(
                    "engine.addresses",
                    f"{name} is at {address}: a network that a job creates can take this address,"
                    " and then the job is lost",
                    hint="set RUNNER_ENGINE_ADDRESS_POOL to addresses that nothing else uses, as"
                    " in base=10.200.0.0/16,size=24",
                )
                break


def _addresses(name: str) -> list[IPv4Address]:
    """Return the IPv4 addresses of a name; none if no answer comes within a second."""
    import socket
    from threading import Thread

    found: list[IPv4Address] = []

    def look_up() -> None:
        with suppress(OSError, ValueError):
            answers = socket.getaddrinfo(name, None, socket.AF_INET, socket.SOCK_STREAM)
            found.extend(IPv4Address(answer[4][0]) for answer in answers)

    looking = Thread(target=look_up, daemon=True)
    looking.start()
    looking.join(_LOOK_UP_TIMEOUT)
    return list(found)


def in_pool(address: IPv4Address) -> bool:
    """Return whether an address is in the pools from which dockerd takes those of new networks."""
    return any(address in pool for pool in _DOCKER_POOLS)


def has_route(address: IPv4Address, routes: str = "/proc/net/route") -> bool:
    """Return whether a route leads to an address, other than the default one and dockerd's own."""
    for row in _routes(routes):
        # The destination is the second word and the mask the eighth, both little-endian.
        destination, mask = (int.from_bytes(bytes.fromhex(row[n]), "little") for n in (1, 7))
        if row[0] != _BRIDGE and mask and int(address) & mask == destination:
            return True
    return False


def data_root(kind: str, settings: Settings, path: str = CONFIGURATION) -> str:
    """Return where an engine that is started here keeps its images; "" for any other kind."""
    match kind:
        case "docker":
            given = settings.engine_data_root or _configuration(path).get("data-root")
            return str(given or "/var/lib/docker")
        case "podman":
            return "/var/lib/containers"
    return ""


def docker_options(settings: Settings, path: str = CONFIGURATION) -> list[str]:
    """Return dockerd's options, without those that a mounted daemon.json sets.

    dockerd refuses to start if an option is given both in that file and on the command line.
    """
    given = _configuration(path)
    mtu = settings.engine_mtu or default_mtu()
    options = {
        "mtu": [f"--mtu={mtu}"] if mtu else [],
        # The MTU of the networks that jobs create; dockerd has this option since Docker 24.
        "default-network-opts": (
            [f"--default-network-opt=bridge=com.docker.network.driver.mtu={mtu}"]
            if mtu and _knows("--default-network-opt")
            else []
        ),
        "registry-mirrors": [f"--registry-mirror={m}" for m in settings.engine_mirrors],
        "insecure-registries": [f"--insecure-registry={r}" for r in settings.engine_insecure],
        "data-root": [f"--data-root={settings.engine_data_root}"]
        if settings.engine_data_root
        else [],
        "storage-driver": (
            [f"--storage-driver={settings.engine_storage}"] if settings.engine_storage else []
        ),
        "default-address-pools": (
            [f"--default-address-pool={settings.engine_pool}"] if settings.engine_pool else []
        ),
    }
    return [word for key, words in options.items() if key not in given for word in words]


def _warn_of_networks(mtu: str, since: str) -> None:
    log.warning(
        "engine.mtu",
        f"networks that jobs create have an MTU of 1500, and the way out has {mtu}: only since"
        f" {since} they get it",
        hint=f"take a newer engine, or create them with -o com.docker.network.driver.mtu={mtu}",
    )


def _configuration(path: str) -> dict[str, Any]:
    """Return what daemon.json sets; nothing if it is broken: dockerd reports that itself."""
    import json

    try:
        with open(path, encoding="utf-8") as file:
            return dict(json.load(file))
    except (OSError, ValueError, TypeError):
        return {}


def _knows(option: str) -> bool:
    """Return whether the installed dockerd has an option."""
    import subprocess

    try:
        done = subprocess.run(
            ["dockerd", "--help"], capture_output=True, text=True, timeout=5, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return option in done.stdout


def default_mtu(
    routes: str = "/proc/net/route",
    devices: str = "/sys/class/net",
    routes_6: str = "/proc/net/ipv6_route",
) -> int | None:
    """Return the MTU of the default route's interface (IPv4, else IPv6), if less than Ethernet's.

    A job's network with a larger MTU would lose its large packets, without any error.
    """
    for device in (*_default_devices(routes), *_default_devices_6(routes_6)):
        with (
            suppress(OSError, ValueError),
            open(f"{devices}/{device}/mtu", encoding="ascii") as file,
        ):
            mtu = int(file.read())
            return mtu if mtu < _ETHERNET_MTU else None
    return None


def _default_devices(path: str) -> list[str]:
    return [row[0] for row in _routes(path) if row[1] == "00000000"]


def _routes(path: str) -> list[list[str]]:
    """Return the rows of /proc/net/route without their heading; none if there is no IPv4."""
    with suppress(OSError), open(path, encoding="ascii") as table:
        return [line.split() for line in table][1:]
    return []


def _default_devices_6(path: str) -> list[str]:
    # In a row, the first two words are destination and prefix length, and the last is the device.
    with suppress(OSError), open(path, encoding="ascii") as table:
        rows = [line.split() for line in table]
        return [r[-1] for r in rows if r[0] == "0" * 32 and r[1] == "00" and r[-1] != "lo"]
    return []


def warnings(
    settings: Settings, user: Account, environ: Mapping[str, str], engine: Choice
) -> list[str]:
    """Return warnings about what jobs cannot do with an engine that was given."""
    if engine.kind != "given":
        return []
    path, found = socket_of(given_address(environ)), []
    with suppress(OSError):
        about = os.stat(path)
        if not can(user, path, os.R_OK | os.W_OK):
            found.append(
                f"{path} can be used by root alone (group {about.st_gid}), so jobs of"
                f" {settings.user} are denied; give the socket a group on the host"
                if about.st_gid == 0 or not about.st_mode & 0o020
                else f"{path} belongs to group {about.st_gid}, which jobs of {settings.user} do not"
                f" have, so they are denied; give it to them (--group-add {about.st_gid})"
            )
    is_hosts = os.path.realpath(path) == os.path.realpath(SOCKET)
    if is_hosts and not kernel.is_mounted_at_same_path(settings.workdir_path):
        found.append(
            f"RUNNER_WORKDIR: the engine behind {path} is the host's, and does not see"
            f" {settings.workdir_path}: `container:`, `services:` with volumes and container"
            " actions find it empty; mount a host's folder there under the same path"
            " (-v /srv/work:/srv/work) and name it in RUNNER_WORKDIR"
        )
    return found


def container_jobs_problem(path: str = "/proc/1/cgroup") -> str:
    """Return why GitHub's runner refuses `container:` and `services:` here; "" if it does not.

    If ":/docker/" is in that file, GitHub's runner concludes that it is in a container and refuses
    to start others (actions/runner, ContainerOperationProvider). Container hooks skip the check.
    """
    with suppress(OSError), open(path, encoding="utf-8", errors="replace") as file:
        if ":/docker/" in file.read():
            return (
                "GitHub's runner refuses jobs with `container:` or `services:` here, since"
                f" {path} shows Docker's control group; start the container with"
                " --cgroupns=private"
            )
    return ""
