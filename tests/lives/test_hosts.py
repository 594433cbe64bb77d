"""No telemetry: whom a life speaks to, as it is seen on the wire."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import pytest

from simulator import Distribution, Simulator
from tests.support import wire_tap
from tests.support.life import NAMESPACE, Life, directory, until
from tests.support.wire_tap import ADDRESS, DNS, Network, network

HOSTS = ("api.github.com", "github.com")
ASKING = f"udp {ADDRESS} {DNS}"


@dataclass
class Watched:
    """A life in a network where all that it sends is seen, and GitHub is the only one there."""

    life: Life
    network: Network
    port: int
    resolv_conf: Path

    def start(self, *arguments: str, **settings: str) -> Life:
        """Start it, as it is started on github.com."""
        enter = [*self.network.enter, *NAMESPACE, *wire_tap.resolv_conf(str(self.resolv_conf))]
        api_url = f"http://api.github.com:{self.port}"
        return self.life.start(
            *arguments,
            namespace=enter,
            GITHUB_API_URL=api_url,
            GITHUB_ALLOW_HTTP="1",
            RUNNER_VERSION="2.336.0",
            RUNNER_RELEASED="2026-08-20",
            **settings,
        )

    def spoke_to(self) -> set[str]:
        """Return all that packets went to, the asking for names left out."""
        return self.network.sent() - {ASKING}


@pytest.fixture
def watched() -> Iterator[Watched]:
    """A life that has not begun."""
    with network(*HOSTS) as found, found.listen() as listener:
        port = listener.getsockname()[1]
        with Simulator(listeners=[listener]) as simulator, directory() as place:
            life = Life(simulator, place)
            # The runner finds GitHub by name, too.
            configuration = life.home / "bin" / "simulator.json"
            configuration.write_text(
                json.dumps(asdict(Distribution.scaled(f"http://github.com:{port}", 0)))
            )
            try:
                yield Watched(life, found, port, place / "resolv.conf")
            finally:
                print(life.output if life._container else "")  # noqa: T201
                life.end()


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"RUNNER_REGISTRATION": "jit"},
        {"RUNNER_CREDENTIAL": "until-job"},
        {"RUNNER_WATCHDOG": "0.1", "RUNNER_LOG_LEVEL": "debug"},
    ],
    ids=["config", "jit", "until-job", "watchdog"],
)
def test_a_life_speaks_to_github_alone(watched: Watched, settings: dict[str, str]) -> None:
    """From the first request to the last it asks for GitHub's names, and calls GitHub's hosts."""
    watched.life.simulator.queue_job("echo hello")
    assert watched.start(**settings).wait() == 0
    assert watched.network.names == set(HOSTS)
    assert watched.spoke_to() == {f"tcp {ADDRESS} {watched.port}"}
    assert watched.life.simulator.runners() == []


def test_a_life_that_is_stopped_speaks_to_github_alone(watched: Watched) -> None:
    """So it does when it is stopped while it waits, and takes itself off the list."""
    watched.start()
    until(watched.life.simulator.runners)
    until(lambda: watched.life.pid_of("Runner.Listener"))
    watched.life.signal(signal.SIGTERM).wait()
    assert watched.network.names == set(HOSTS)
    assert watched.spoke_to() == {f"tcp {ADDRESS} {watched.port}"}


@pytest.mark.parametrize("command", ["check", "sweep"])
def test_commands_speak_to_github_alone(watched: Watched, command: str) -> None:
    """So do the commands that ask GitHub without a runner."""
    watched.start(command).wait()
    assert watched.network.names == {"api.github.com"}
    assert watched.spoke_to() == {f"tcp {ADDRESS} {watched.port}"}


# Nobody answers: what counts is that each call is begun.
CALLS = """/usr/bin/python3 - <<'END'
import contextlib
import socket

for family, kind, address, port in (
    (socket.AF_INET, socket.SOCK_STREAM, "198.51.100.7", 443),
    (socket.AF_INET, socket.SOCK_DGRAM, "198.51.100.7", 514),
    (socket.AF_INET6, socket.SOCK_STREAM, "2001:db8:1::7", 443),
    (socket.AF_INET, socket.SOCK_STREAM, "192.0.2.1", 444),
    (socket.AF_INET, socket.SOCK_STREAM, "127.0.0.1", 445),
):
    with socket.socket(family, kind) as call, contextlib.suppress(OSError):
        call.setblocking(False)
        call.connect((address, port))
        call.send(b"x")
with contextlib.suppress(OSError):
    socket.getaddrinfo("stats.example.com", 443)
END
"""
SEEN = {
    "tcp 198.51.100.7 443",
    "udp 198.51.100.7 514",
    "tcp 2001:db8:1::7 443",
    "tcp 192.0.2.1 444",
    "tcp 127.0.0.1 445",
}


def test_nothing_goes_unseen(watched: Watched) -> None:
    """A job that does speak to others is seen: by name, by address, whichever way it calls."""
    job = watched.life.simulator.queue_job(CALLS)
    assert watched.start().wait() == 0
    assert watched.life.simulator.job(job["id"])["result"] == "succeeded"
    assert watched.spoke_to() == {f"tcp {ADDRESS} {watched.port}"} | SEEN
    assert watched.network.names == {*HOSTS, "stats.example.com"}
