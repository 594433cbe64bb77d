"""How an engine is started, and what is told of one that was given."""

from __future__ import annotations

import os
import socket
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from entrypoint.container import account
from entrypoint.lifecycle import engine, engine_choice
from entrypoint.lifecycle.engine_choice import default_mtu, docker_options, has_route, in_pool
from simulator.container import USER
from tests.support import fakehub


def test_an_option_in_daemon_json_is_left_out(tmp_path: Path) -> None:
    """No option is passed that a mounted daemon.json sets."""
    file = tmp_path / "daemon.json"
    file.write_text('{"registry-mirrors": ["https://a"], "mtu": 1400}')
    settings = fakehub.parse(
        {"RUNNER_ENGINE_MIRRORS": "https://b", "RUNNER_ENGINE_DATA_ROOT": "/data"}
    )
    assert docker_options(settings, str(file)) == ["--data-root=/data"]


@pytest.mark.parametrize(("mtu", "expected"), [("1500", None), ("1400", 1400), ("9000", None)])
def test_engine_takes_a_smaller_mtu_from_the_default_route(
    tmp_path: Path, mtu: str, expected: int | None
) -> None:
    """An MTU below that of Ethernet is passed to the engine; a larger one is not needed."""
    (tmp_path / "eth0").mkdir()
    (tmp_path / "eth0/mtu").write_text(mtu)
    routes = tmp_path / "route"
    routes.write_text(
        "Iface\tDestination\tGateway\neth0\t0011AC\t00000000\neth0\t00000000\t010011AC\n"
    )
    assert default_mtu(str(routes), str(tmp_path), "/nonexistent") == expected


def test_mtu_of_a_host_with_ipv6_alone(tmp_path: Path) -> None:
    """Without a default route of IPv4, that of IPv6 counts, and not the loopback's."""
    (tmp_path / "eth0").mkdir()
    (tmp_path / "eth0/mtu").write_text("1280")
    nothing, other = "0" * 32, "fe80" + "0" * 28
    rest = f"{nothing} 00 {other} 00000400 00000001 00000000 00000003"
    rows = [f"{nothing} 00 {rest} lo", f"{other} 40 {rest} eth1", f"{nothing} 00 {rest} eth0"]
    (tmp_path / "ipv6_route").write_text("".join(f"{row}\n" for row in rows))
    assert default_mtu("/nonexistent", str(tmp_path), str(tmp_path / "ipv6_route")) == 1280


@pytest.mark.parametrize("variable", ["", "DOCKER_HOST"])
def test_socket_that_jobs_may_not_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    """A socket that is root's alone, or that of a group without the jobs, is told beforehand."""
    path = str(tmp_path / "docker.sock")
    if not variable:
        monkeypatch.setattr(engine, "SOCKET", path)
        monkeypatch.setattr(engine_choice, "SOCKET", path)
        monkeypatch.setattr(account, "_SOCKET", path)
    environ = {variable: f"unix://{path}"} if variable else {}
    settings = fakehub.parse({"RUNNER_WORKDIR": str(tmp_path), "RUNNER_ENGINE": "auto"})
    given, user = engine_choice.Choice("given", ""), account.require(USER)
    for above in [tmp_path, *tmp_path.parents]:
        if above.owner() == "root" and str(above).startswith("/tmp/"):
            above.chmod(above.stat().st_mode | 0o011)

    def warned() -> str:
        return " ".join(engine_choice.warnings(settings, user, environ, given))

    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        os.chmod(path, 0o660)
        assert f"{path} can be used by root alone" in warned()
        os.chown(path, 0, 4242)
        assert ("--group-add 4242" in warned()) is bool(variable)
        assert "by root alone" not in warned()
        os.chmod(path, 0o666)
        assert "denied" not in warned()


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("172.16.255.255", False),
        ("172.17.0.1", True),
        ("172.31.255.255", True),
        ("172.32.0.0", False),
        ("192.168.4.4", True),
        ("192.169.0.1", False),
        ("10.0.0.1", False),
        ("140.82.121.4", False),
    ],
)
def test_addresses_that_dockerd_gives_to_networks(address: str, *, expected: bool) -> None:
    """They are 172.17.0.0 to 172.31.255.255 and 192.168.0.0/16."""
    assert in_pool(IPv4Address(address)) == expected


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("172.18.0.9", True),
        ("172.20.1.2", True),
        ("172.17.0.1", False),
        ("172.21.0.1", False),
    ],
)
def test_dockerd_leaves_out_what_has_a_route(
    tmp_path: Path, address: str, *, expected: bool
) -> None:
    """A route to a network counts; the default route and that of docker0 do not."""
    routes = tmp_path / "route"
    routes.write_text(
        "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\n"
        "eth0\t00000000\t010012AC\t0003\t0\t0\t0\t00000000\n"
        "docker0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\n"
        "eth0\t000012AC\t00000000\t0001\t0\t0\t0\t0000FFFF\n"
        "eth1\t000014AC\t010012AC\t0003\t0\t0\t0\t0000FFFF\n"
    )
    assert has_route(IPv4Address(address), str(routes)) == expected
