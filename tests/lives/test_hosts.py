"""No telemetry: a life sends packets to GitHub only, as recorded on its network."""

from __future__ import annotations

import json
import signal
import socket
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import pytest

from simulator import Distribution, Simulator
from tests.support import wire_tap
from tests.support.life import NAMESPACE, Life, directory, until
from tests.support.wire_tap import ADDRESS, DNS, Network, in_network_of, network

HOSTS = ("api.github.example", "github.example")
ASKING = f"udp {ADDRESS} {DNS}"


@dataclass
class Watched:
    """A life in a network that records every packet, and has a GitHub but no other host."""

    life: Life
    network: Network
    port: int
    resolv_conf: Path

    def start(self, *arguments: str, **settings: str) -> Life:
        """Start it with the settings for that GitHub."""
        enter = [*self.network.enter, *NAMESPACE, *wire_tap.resolv_conf(str(self.resolv_conf))]
        api_url = f"http://api.github.example:{self.port}"
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
        """Return all destinations of packets, except for DNS questions."""
        return self.network.sent() - {ASKING}


@pytest.fixture
def watched() -> Iterator[Watched]:
    """A life that has not been started."""
    with network(*HOSTS) as found, found.listen() as listener:
        port = listener.getsockname()[1]
        with Simulator(listeners=[listener]) as simulator, directory() as place:
            life = Life(simulator, place)
            # The runner's own configuration names GitHub's host as well.
            configuration = life.home / "bin" / "simulator.json"
            configuration.write_text(
                json.dumps(asdict(Distribution.scaled(f"http://github.example:{port}", 0)))
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
    """From first to last a life asks DNS for GitHub's hosts only, and calls no others."""
    watched.life.simulator.queue_job("echo hello")
    assert watched.start(**settings).wait() == 0
    assert watched.network.names == set(HOSTS)
    assert watched.spoke_to() == {f"tcp {ADDRESS} {watched.port}"}
    assert watched.life.simulator.runners() == []


def test_a_life_that_is_stopped_speaks_to_github_alone(watched: Watched) -> None:
    """The same holds for a life that is stopped while idle, and takes itself off the list."""
    watched.start()
    until(watched.life.simulator.runners)
    until(lambda: watched.life.pid_of("Runner.Listener"))
    watched.life.signal(signal.SIGTERM).wait()
    assert watched.network.names == set(HOSTS)
    assert watched.spoke_to() == {f"tcp {ADDRESS} {watched.port}"}


@pytest.mark.parametrize("command", ["check", "sweep"])
def test_commands_speak_to_github_alone(watched: Watched, command: str) -> None:
    """The same holds for commands that ask GitHub without a runner."""
    watched.start(command).wait()
    assert watched.network.names == {"api.github.example"}
    assert watched.spoke_to() == {f"tcp {ADDRESS} {watched.port}"}


def test_an_answer_to_an_asker_that_has_ended() -> None:
    """The kernel says "port unreachable" to DNS then; that is no packet of a life."""
    question = b"\0\1\1\0\0\1\0\0\0\0\0\0\6github\7example\0\0\1\0\1"
    with network(*HOSTS) as found:
        for _ in range(5):  # closed at once, or after the answer
            with in_network_of(found.pid, lambda: socket.socket(type=socket.SOCK_DGRAM)) as asker:
                asker.sendto(question, (ADDRESS, DNS))
        until(lambda: found.names)
        assert found.sent() <= {ASKING}


# No host answers, but each call is begun, which is enough.
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
    """A job that does call other hosts is recorded: by name and by address, over each protocol."""
    job = watched.life.simulator.queue_job(CALLS)
    assert watched.start().wait() == 0
    assert watched.life.simulator.job(job["id"])["result"] == "succeeded"
    assert watched.spoke_to() == {f"tcp {ADDRESS} {watched.port}"} | SEEN
    assert watched.network.names == {*HOSTS, "stats.example.com"}
