"""The container engine for jobs, inside this container: dockerd, or podman's service.

It is started by itself, not by an init script (which fails under sysbox for its ulimits), is
ready before the runner registers, and outlives the job.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager, suppress

from entrypoint import call, log
from entrypoint.container import files, kernel
from entrypoint.errors import ExitCode, Failure
from entrypoint.init import signals
from entrypoint.init.child import Child
from entrypoint.init.pid1 import Init
from entrypoint.runner import home, program
from entrypoint.settings.schema import Settings

READY_TIMEOUT = 60.0  # seconds; dockerd needs some five
END_TIMEOUT = 3.0  # seconds between TERM and KILL; no job is left by then
SOCKETS = {"docker": "/run/docker.sock", "podman": "/run/podman/podman.sock"}
GROUP = "docker"  # who may use the engine, as docker's packages have it
_PID_FILES = ("/run/docker.pid", "/run/docker/containerd/containerd.pid")
_ETHERNET_MTU = 1500
_ASK_EVERY = 0.05  # seconds; in a child, which may be ended at any moment


def choice(settings: Settings) -> str:
    """Return docker, podman or none: `auto` is docker where it is installed and can work.

    It can with CAP_SYS_ADMIN, as under sysbox; it is not needed beside a socket of the host's.
    """
    if settings.engine != "auto":
        return settings.engine
    installed = any(os.access(os.path.join(d, "dockerd"), os.X_OK) for d in program.PATH.split(":"))
    able = installed and kernel.has_capability(kernel.CAP_SYS_ADMIN, "CapEff")
    able = able and not os.path.exists(SOCKETS["docker"])
    return "docker" if able else "none"


@contextmanager
def running(pid_1: Init, settings: Settings, environ: MutableMapping[str, str]) -> Iterator[None]:
    """Have the engine run for as long as this lasts; jobs are told where podman listens.

    Raises a Failure (69) with the end of its log if it does not answer in time.
    """
    kind = choice(settings)
    if kind == "none":
        yield
        return
    started = time.monotonic()
    output = os.path.join(settings.state_dir, "engine.log")
    try:
        _prepare(pid_1, kind, output)
    except OSError as error:
        raise _failed(kind, f"cannot be started: {error.filename}: {error.strerror}") from None
    environment = program.base_environment(environ, settings)
    # A shell's redirection, so that nothing of the engine's stays in our memory or on our stdout.
    command = ["sh", "-c", 'exec "$@" >"$0" 2>&1', output, *_command(kind, settings)]
    child = pid_1.spawn(command, env=environment)
    try:
        _await(pid_1, child, kind, output)
        log.info(
            "engine.ready",
            "the engine is ready",
            engine=kind,
            seconds=round(time.monotonic() - started, 3),
        )
        if kind == "podman":
            environ["DOCKER_HOST"] = f"unix://{SOCKETS[kind]}"
        yield
    finally:
        _end(pid_1, child)


def _prepare(pid_1: Init, kind: str, output: str) -> None:
    """Make the places that it needs, and begin its log."""
    if pid_1.is_pid_1:  # whoever they name is not alive any more
        for path in _PID_FILES:
            with suppress(FileNotFoundError):
                os.unlink(path)
    os.makedirs(os.path.dirname(SOCKETS[kind]), exist_ok=True)
    files.make_directory(os.path.dirname(output))
    with open(output, "wb"):
        pass


def _command(kind: str, settings: Settings) -> list[str]:
    options = settings.engine_options.split()
    if kind == "podman":
        return ["podman", "system", "service", "--time=0", *options, f"unix://{SOCKETS[kind]}"]
    mtu = default_mtu()
    return [
        "dockerd",
        f"--host=unix://{SOCKETS[kind]}",
        *([f"--mtu={mtu}"] if mtu else []),
        *options,
    ]


def default_mtu(routes: str = "/proc/net/route", devices: str = "/sys/class/net") -> int | None:
    """Return the MTU of the default route's interface, if it is less than Ethernet's.

    The larger packets of a network nested in it would be lost without a word.
    """
    with open(routes, encoding="ascii") as table:
        rows = [line.split() for line in table][1:]
    for device, destination, *_ in rows:
        if destination == "00000000":
            with open(f"{devices}/{device}/mtu", encoding="ascii") as file:
                mtu = int(file.read())
            return mtu if mtu < _ETHERNET_MTU else None
    return None


def _await(pid_1: Init, child: Child, kind: str, output: str) -> None:
    """Wait until the engine answers, ends, or has had its time."""
    deadline = time.monotonic() + READY_TIMEOUT
    asking = call.start(pid_1, lambda: _answers(SOCKETS[kind], deadline))
    try:
        pid_1.wait_for(lambda: asking.outcome is not None or child.outcome is not None, deadline)
        if child.outcome is None and asking.outcome is not None and call.result(asking):
            return
    finally:
        call.end(pid_1, asking)
    told = "did not answer" if child.outcome is None else f"ended with {child.outcome}"
    raise _failed(kind, f"{told}: {home.tail(output)}")


def _failed(kind: str, why: str) -> Failure:
    return Failure(
        ExitCode.ENGINE,
        f"the container engine ({kind}) {why}",
        "run the container under sysbox (--runtime sysbox-runc) or with what the engine needs,"
        " or set RUNNER_ENGINE=none",
    )


def _answers(address: str, deadline: float) -> bool:
    """Ask the engine until it answers (both speak Docker's API), and let its group use it."""
    import grp  # PID 1 need not load these
    import socket

    while time.monotonic() < deadline:
        with suppress(OSError), socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(1)
            connection.connect(address)
            connection.sendall(b"GET /_ping HTTP/1.0\r\n\r\n")
            if b" 200 " in connection.recv(64):
                with suppress(KeyError):
                    os.chown(address, 0, grp.getgrnam(GROUP).gr_gid)
                    os.chmod(address, 0o660)
                return True
        time.sleep(_ASK_EVERY)
    return False


def _end(pid_1: Init, child: Child) -> None:
    """End the engine, last of all."""
    pid_1.begin_cleanup()
    if child.outcome is None:
        signals.terminate(child.pid)
        pid_1.wait(child, time.monotonic() + END_TIMEOUT, hurry=True)
    pid_1.end(child)
