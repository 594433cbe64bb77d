"""The calls of `config.sh` beside the REST API; they show a registration token."""

from typing import Any

from aiohttp import web

from simulator.hub.api import access
from simulator.hub.api.service import services_url
from simulator.hub.model import MAXIMUM_NAME, NAME_TOO_LONG, scope_of_url
from simulator.hub.refusals import Refusal, not_found
from simulator.hub.state import json_object, world_of


def routes() -> list[web.RouteDef]:
    """Return the routes, without a prefix."""
    return [
        web.post("/actions/runner-registration", announce),
        web.post("/actions/runners/register", register),
    ]


async def announce(request: web.Request) -> web.Response:
    """POST runner-registration: `config.sh` shows its token."""
    body = await json_object(request)
    _check_token(request, body)
    answer = {"url": services_url(request), "use_runner_admin_flow": True}
    return web.json_response(answer)


async def register(request: web.Request) -> web.Response:
    """POST register: add a runner to the list, or replace the one of the same name."""
    body = await json_object(request)
    scope = _check_token(request, body)
    world = world_of(request)
    if world.group(body["group_id"]) is None:
        raise not_found()
    if not 1 <= len(body["name"]) <= MAXIMUM_NAME:
        raise Refusal(422, NAME_TOO_LONG)
    add = world.replace_runner if body.get("replace") else world.add_runner
    runner = add(
        name=body["name"],
        scope=scope,
        labels=body["labels"],
        group_id=body["group_id"],
        ephemeral=body["ephemeral"],
        version=body["version"],
        key=body["public_key"],
    )
    grant = {
        "authorization_url": services_url(request) + "oauth2/token",
        "server_url": services_url(request),
        "client_id": runner.client_id,
    }
    return web.json_response({"id": runner.id, "name": runner.name, "authorization": grant})


def _check_token(request: web.Request, body: dict[str, Any]) -> str:
    """Return the scope of a registration; Refusal (404) unless its token is good."""
    try:
        scope = scope_of_url(str(body.get("url", "")))
    except ValueError:
        raise not_found() from None
    scheme, token = access.authorization(request)
    good = world_of(request).token_is_good(token, scope, ("registration",))
    if scheme != access.REMOTE_AUTH or not good:
        raise not_found()
    return scope
