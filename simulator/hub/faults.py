"""Requests that go wrong on purpose."""

import asyncio
import re
import socket
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from simulator.hub import refusals

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
LINGER_NOT = struct.pack("ii", 1, 0)


@dataclass
class Fault:
    """What happens to the next `times` requests that match (0: to all that follow).

    A request matches if `path`, a regular expression, is found in its path, and `method` is its
    own. The first `skip` requests that match are spared. `delay` is in seconds. With `after` the
    request is carried out first, and only its answer suffers. `refusal` is the name of one of
    `refusals.PRESETS`. `hold` is a name; the request waits until that name is released.
    """

    path: str = ""
    method: str = ""
    times: int = 1
    skip: int = 0
    after: bool = False
    delay: float = 0.0
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: Any = None
    refusal: str = ""
    reset: bool = False
    hang: bool = False
    hold: str = ""
    released: asyncio.Event = field(default_factory=asyncio.Event, init=False)

    def matches(self, request: web.Request) -> bool:
        """Return whether the fault applies to this request."""
        method = not self.method or self.method.upper() == request.method
        return method and re.search(self.path, request.path_qs) is not None

    def answer(self) -> web.Response | None:
        """Return the answer that replaces the true one; None to give the true one."""
        if self.refusal:
            raise refusals.PRESETS[self.refusal]()
        if not self.status:
            return None
        if isinstance(self.body, str):
            return web.Response(status=self.status, text=self.body, headers=self.headers)
        body = self.body if self.body is not None else {"message": "Server Error"}
        return web.json_response(body, status=self.status, headers=self.headers)


class Faults:
    """The faults in the order in which they were added; the first that matches happens."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._holding: list[Fault] = []

    def add(self, fault: Fault) -> None:
        """Let a fault happen from now on."""
        self._faults.append(fault)
        if fault.hold:
            self._holding.append(fault)

    def release(self, name: str) -> None:
        """Let the requests go on that are held under a name."""
        for fault in self._holding:
            if fault.hold == name:
                fault.released.set()

    def clear(self) -> None:
        """End all faults."""
        self._faults = []

    def take(self, request: web.Request) -> Fault | None:
        """Return the fault that this request meets, if any."""
        for fault in self._faults:
            if not fault.matches(request):
                continue
            if fault.skip:
                fault.skip -= 1
                continue
            if fault.times == 1:
                self._faults.remove(fault)
            fault.times -= 1 if fault.times else 0
            return fault
        return None


async def suffer(fault: Fault, request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer a request as the fault says."""
    true_answer = await handler(request) if fault.after else None
    await asyncio.sleep(fault.delay)
    if fault.hold:
        await fault.released.wait()
    if fault.hang:
        await asyncio.Event().wait()
    if fault.reset:
        hang_up(request)
        return web.Response()
    return fault.answer() or true_answer or await handler(request)


def hang_up(request: web.Request) -> None:
    """Reset the connection, so that the client reads ECONNRESET."""
    if request.transport is None:
        return
    connection = request.transport.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_NOT)
    request.transport.abort()
