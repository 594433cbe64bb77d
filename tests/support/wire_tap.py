"""A network for one life, in which every packet is recorded.

Its one address may have a GitHub behind it, and answers DNS questions. Its default route leads
nowhere: packets to the world are recorded, and arrive nowhere.
"""

from __future__ import annotations

import ctypes
import os
import socket
import struct
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

ADDRESS = "192.0.2.1"
DNS = 53
_CLONE_NEWNET = 0x40000000
_ALL_PROTOCOLS = 3
_SO_RCVBUFFORCE = 33
_ROOM = 32 * 1024 * 1024  # bytes; a life sends some hundred packets
_SYN, _ACK = 0x02, 0x10
_IP, _IPV6 = 0x0800, 0x86DD
_UNREACHABLE = 3  # "destination unreachable" (RFC 792)
_NEIGHBOURS = range(130, 138)  # ICMPv6 types by which a machine finds its routers and neighbours
_SCRIPT = f"""
    ip link set lo up
    ip link add out type veth peer name cable
    ip link set out up
    ip link set cable up
    ip address add {ADDRESS}/24 dev out
    ip address add 2001:db8::1/64 dev out nodad
    ip route add default via 192.0.2.2 dev out
    ip -6 route add default via 2001:db8::2 dev out
    # As if somebody were there: otherwise nothing but the search for a neighbour would be sent.
    ip neighbour add 192.0.2.2 lladdr 02:00:00:00:00:02 dev out
    ip neighbour add 2001:db8::2 lladdr 02:00:00:00:00:02 dev out
    echo ready
    exec cat
"""

Made = TypeVar("Made")


def in_network_of(pid: int, make: Callable[[], Made]) -> Made:
    """Call `make` in the network namespace of a process: a socket that it makes stays there."""
    made: list[Made] = []

    def enter() -> None:
        # setns(2) moves one thread only, so this thread alone changes its network.
        with open(f"/proc/{pid}/ns/net", "rb") as network:
            result = ctypes.CDLL(None, use_errno=True).setns(network.fileno(), _CLONE_NEWNET)
        if result == 0:
            made.append(make())

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    return made[0]


@dataclass
class Network:
    """A network: its names in DNS, and what was sent in it."""

    pid: int
    hosts: set[str]
    names: set[str] = field(default_factory=set)
    _taps: list[socket.socket] = field(default_factory=list)

    @property
    def enter(self) -> list[str]:
        """The words that start a command in this network."""
        return ["nsenter", f"--net=/proc/{self.pid}/ns/net"]

    def listen(self) -> socket.socket:
        """Return a socket that listens at the address, on a free port."""
        return in_network_of(self.pid, lambda: socket.create_server((ADDRESS, 0)))

    def sent(self) -> set[str]:
        """Return where packets went that answer nothing, as `tcp 192.0.2.1 443`."""
        return {found for tap in self._taps for packet in _packets(tap) if (found := _sent(packet))}

    def _answer(self, server: socket.socket) -> None:
        """Answer DNS questions until the socket is shut down."""
        while True:
            question, client = server.recvfrom(4096)
            if not question:
                return
            name, kind = _question(question)
            self.names.add(name)
            with suppress(BrokenPipeError):  # the socket was shut down before this answer
                server.sendto(_reply(question, known=name in self.hosts, address=kind == 1), client)


@contextmanager
def network(*hosts: str) -> Iterator[Network]:
    """Make a network in which these names have its address, and no other name exists."""
    with ExitStack() as exits:
        process = exits.enter_context(
            subprocess.Popen(
                ["unshare", "--net", "sh", "-ec", _SCRIPT],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
            )
        )
        assert process.stdin is not None
        assert process.stdout is not None
        exits.callback(process.stdin.close)
        assert process.stdout.readline() == b"ready\n"
        found = Network(process.pid, set(hosts))
        for device in ("lo", "out"):
            found._taps.append(
                exits.enter_context(in_network_of(process.pid, partial(_tap, device)))
            )
        server = in_network_of(process.pid, _datagrams)
        thread = threading.Thread(target=found._answer, args=[server])
        thread.start()
        exits.callback(server.close)
        exits.callback(thread.join)
        exits.callback(_shut_down, server)
        yield found


def _tap(device: str) -> socket.socket:
    tap = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_ALL_PROTOCOLS))
    tap.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _ROOM)
    tap.bind((device, _ALL_PROTOCOLS))
    tap.setblocking(False)
    return tap


def _datagrams() -> socket.socket:
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind((ADDRESS, DNS))
    return server


def _shut_down(server: socket.socket) -> None:
    # shutdown(2) does wake the thread that reads, and then fails: a UDP socket has no peer.
    with suppress(OSError):
        server.shutdown(socket.SHUT_RDWR)


def _packets(tap: socket.socket) -> Iterator[tuple[int, bytes]]:
    """Yield all packets that have been sent: each is there before send(2) returns."""
    while True:
        try:
            packet, (_, protocol, direction, *_) = tap.recvfrom(65536)
        except BlockingIOError:
            return
        if direction == socket.PACKET_OUTGOING:
            yield protocol, packet


def _sent(found: tuple[int, bytes]) -> str:
    """Return where a packet went; "" for an answer, and for packets that the kernel sends."""
    protocol, packet = found
    if protocol == _IP:
        length = (packet[0] & 15) * 4
        kind, target = packet[9], socket.inet_ntop(socket.AF_INET, packet[16:20])
    elif protocol == _IPV6:
        length, kind = 40, packet[6]
        target = socket.inet_ntop(socket.AF_INET6, packet[24:40])
        if kind in {0, socket.IPPROTO_ICMPV6} and (kind == 0 or packet[length] in _NEIGHBOURS):
            return ""  # hop-by-hop options: the kernel's own multicast reports
    else:
        return ""
    content = packet[length:]
    if kind == socket.IPPROTO_TCP:
        is_call = content[13] & (_SYN | _ACK) == _SYN
        return f"tcp {target} {struct.unpack('!H', content[2:4])[0]}" if is_call else ""
    if kind == socket.IPPROTO_UDP:
        source, port = struct.unpack("!HH", content[:4])
        return "" if source == DNS else f"udp {target} {port}"
    if kind == socket.IPPROTO_ICMP and content[0] == _UNREACHABLE:
        return ""  # the kernel's answer to a DNS answer whose asker has been ended meanwhile
    return f"protocol {kind} {target}"


def _question(message: bytes) -> tuple[str, int]:
    """Return the name in a DNS question, and the type of record."""
    labels, at = [], 12
    while length := message[at]:
        labels.append(message[at + 1 : at + 1 + length].decode())
        at += 1 + length
    return ".".join(labels).lower(), int(struct.unpack("!H", message[at + 1 : at + 3])[0])


def _reply(question: bytes, *, known: bool, address: bool) -> bytes:
    """Return a DNS answer: the address if the name is known, no record of another type."""
    end = question.index(b"\0", 12) + 5
    count = int(known and address)
    header = question[:2] + struct.pack("!HHHHH", 0x8180 if known else 0x8183, 1, count, 0, 0)
    record = struct.pack("!HHHIH", 0xC00C, 1, 1, 60, 4) + socket.inet_aton(ADDRESS)
    return header + question[12:end] + record * count


def resolv_conf(path: str) -> list[str]:
    """Return the words that start a command which asks this network for names.

    `path` is a file that this writes; the command needs a mount namespace of its own.
    """
    with open(path, "w", encoding="ascii") as file:
        file.write(f"nameserver {ADDRESS}\noptions timeout:30 attempts:1\n")
    os.chmod(path, 0o644)
    return ["sh", "-c", 'mount --bind "$0" /etc/resolv.conf && exec "$@"', path]
