"""The state that all handlers share, and how they reach it."""

import asyncio
import time
from typing import Any

from aiohttp import web

from simulator.hub.credentials import Vault
from simulator.hub.faults import Faults
from simulator.hub.limits import Limits
from simulator.hub.pulse import EventLog
from simulator.hub.world import World


class State:
    """The whole simulation."""

    def __init__(self) -> None:
        self.events = EventLog()
        self.under_way: set[asyncio.Future[web.StreamResponse]] = set()
        self.reset()

    def reset(self) -> None:
        """Forget everything; only the numbering of events goes on.

        A request that began before, such as one whose client is gone, changes nothing afterwards.
        """
        for request in self.under_way:
            request.cancel()
        self.events = EventLog(self.events.last)
        self.world = World(self.events)
        self.vault = Vault()
        self.faults = Faults()
        self.limits = Limits()
        self.requests: list[dict[str, Any]] = []
        self.started = time.time()
        self.events.add("reset")


STATE = web.AppKey("STATE", State)
SCOPES = ("/repos/{owner}/{repo}", "/orgs/{org}", "/enterprises/{enterprise}")


def world_of(request: web.Request) -> World:
    """Return the simulated GitHub that a request is about."""
    return request.app[STATE].world


def scope_of(request: web.Request) -> str:
    """Return the scope in the path of a request, in lower case."""
    info = request.match_info
    if "repo" in info:
        return f"repos/{info['owner']}/{info['repo']}".lower()
    if "org" in info:
        return f"orgs/{info['org']}".lower()
    return f"enterprises/{info['enterprise']}".lower() if "enterprise" in info else ""


def is_ghes(request: web.Request) -> bool:
    """Return whether the request came below /api/v3."""
    return request.path.startswith("/api/v3/")


def base_url(request: web.Request) -> str:
    """Return the URL of the API that the request came to, without a slash at its end."""
    return f"{request.scheme}://{request.host}" + ("/api/v3" if is_ghes(request) else "")


async def json_object(request: web.Request) -> dict[str, Any]:
    """Return the body of a request, {} if it is empty; ValueError if it is no object."""
    if not await request.read():
        return {}
    body = await request.json()
    if not isinstance(body, dict):
        raise ValueError("not an object")
    return body
