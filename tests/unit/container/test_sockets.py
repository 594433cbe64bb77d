"""What the kernel tells about connections, for one that is made here."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator

import pytest

from entrypoint.container import sockets
from tests.support.life import until

NOBODY = 4_000_000  # nobody has connections as this user


@pytest.fixture(params=[("127.0.0.1", socket.AF_INET), ("::1", socket.AF_INET6)], ids=["4", "6"])
def pair(request: pytest.FixtureRequest) -> Iterator[tuple[socket.socket, socket.socket]]:
    """Connect two sockets; the second one belongs to another user."""
    address, family = request.param
    with socket.create_server((address, 0), family=family) as server:
        before = os.geteuid()
        os.seteuid(NOBODY)
        try:
            ours = socket.socket(family)
        finally:
            os.seteuid(before)
        ours.connect(server.getsockname())
        theirs, _ = server.accept()
        with ours, theirs:
            yield theirs, ours


def test_what_a_connection_has_received(pair: tuple[socket.socket, socket.socket]) -> None:
    """Data counts from the moment on when the kernel has it, whether it is read or not."""
    theirs, _ = pair
    until(lambda: not sockets.heard_lately(NOBODY, 0.1))  # the connection itself is an age, too
    theirs.send(b"a job")
    assert sockets.heard_lately(NOBODY, 5)
    assert not sockets.heard_lately(NOBODY + 1, 5)


def test_data_gets_old(pair: tuple[socket.socket, socket.socket]) -> None:
    """After a while it is no reason to wait any more."""
    pair[0].send(b"a job")
    began = time.monotonic()
    until(lambda: not sockets.heard_lately(NOBODY, 0.2))
    assert time.monotonic() - began > 0.1


def test_a_kernel_that_does_not_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    """An error of the kernel, or an answer that is not understood, counts as no data."""
    monkeypatch.setattr(sockets, "_SOCK_DIAG", 31)  # no such protocol
    assert not sockets.heard_lately(NOBODY, 5)
