"""The REST API of GitHub Apps, and the calls that belong to no scope."""

import time
from typing import Any

from aiohttp import web

from simulator.hub.api import access
from simulator.hub.api.rest import page
from simulator.hub.credentials import App, Installation
from simulator.hub.model import timestamp
from simulator.hub.refusals import Refusal, bad_credentials, not_found
from simulator.hub.state import SCOPES, STATE, base_url, is_ghes, json_object, scope_of, world_of


def routes() -> list[web.RouteDef]:
    """Return the routes, without a prefix."""
    return [
        *[web.get(scope + "/installation", get_installation) for scope in SCOPES],
        web.get("/app/installations", list_installations),
        web.post(r"/app/installations/{installation_id:\d+}/access_tokens", make_access_token),
        web.get("/meta", get_meta),
        web.get("/rate_limit", get_rate_limit),
    ]


async def get_installation(request: web.Request) -> web.Response:
    """GET the App's installation for a scope."""
    app = _app(request)
    owner = scope_of(request).split("/")[1]
    for installation in app.installations:
        if installation.account.lower() == owner:
            return web.json_response(_shown(request, app, installation))
    raise not_found()


async def list_installations(request: web.Request) -> web.Response:
    """GET all installations of the App."""
    app = _app(request)
    shown = [_shown(request, app, installation) for installation in app.installations]
    paged = page(request, "installations", shown)
    headers = {"Link": paged.headers["Link"]} if "Link" in paged.headers else {}
    return web.json_response(shown, headers=headers)


async def make_access_token(request: web.Request) -> web.Response:
    """POST access_tokens."""
    app = _app(request)
    installation = app.installation(int(request.match_info["installation_id"]))
    if installation.suspended:
        raise Refusal(403, "This installation has been suspended")
    try:
        body = await json_object(request)
    except ValueError:
        raise Refusal(400, "Problems parsing JSON") from None
    made = request.app[STATE].vault.mint(app, installation, body.get("permissions", {}))
    answer = {
        "token": made.token,
        "expires_at": timestamp(made.expires or 0.0),
        "permissions": made.permissions,
        "repository_selection": "all",
    }
    return web.json_response(answer, status=201)


async def get_meta(request: web.Request) -> web.Response:
    """GET meta; GHES names its version."""
    body: dict[str, Any] = {"verifiable_password_authentication": False}
    if is_ghes(request):
        body["installed_version"] = world_of(request).settings.ghes_version
    return web.json_response(body)


async def get_rate_limit(request: web.Request) -> web.Response:
    """GET rate_limit; this call does not count."""
    limit, used, reset = 60, 0, time.time() + 3600
    if access.authorization(request)[0]:
        credential = access.free_credential_of(request)
        limit, used, reset = credential.limit, credential.used, credential.reset
    rate = {"limit": limit, "used": used, "remaining": limit - used, "reset": int(reset)}
    return web.json_response({"resources": {"core": rate, "search": rate}, "rate": rate})


def _app(request: web.Request) -> App:
    scheme, token = access.authorization(request)
    if scheme != "bearer":
        raise bad_credentials()
    return request.app[STATE].vault.app_of(token)


def _shown(request: web.Request, app: App, installation: Installation) -> dict[str, Any]:
    url = f"{base_url(request)}/app/installations/{installation.id}"
    since = timestamp(request.app[STATE].started)
    return {
        "id": installation.id,
        "account": _account(request, installation),
        "app_id": app.id,
        "app_slug": "simulator",
        "client_id": app.client_id,
        "target_id": 1,
        "target_type": installation.target_type,
        "single_file_name": None,
        "repository_selection": "all",
        "access_tokens_url": url + "/access_tokens",
        "html_url": f"https://github.com/organizations/{installation.account}/settings",
        "repositories_url": base_url(request) + "/installation/repositories",
        "events": [],
        "permissions": installation.permissions,
        "created_at": since,
        "updated_at": since,
        "suspended_by": None,
        "suspended_at": since if installation.suspended else None,
    }


def _account(request: web.Request, installation: Installation) -> dict[str, Any]:
    login = installation.account
    url = f"{base_url(request)}/users/{login}"
    members = ["events", "followers", "following", "gists", "organizations", "received_events"]
    members += ["repos", "starred", "subscriptions"]
    return {
        "login": login,
        "id": 1,
        "node_id": "MDQ6VXNlcjE=",
        "avatar_url": "https://avatars.githubusercontent.com/u/1",
        "gravatar_id": "",
        "url": url,
        "html_url": f"https://github.com/{login}",
        **{f"{name}_url": f"{url}/{name}" for name in members},
        "type": installation.target_type,
        "site_admin": False,
    }
