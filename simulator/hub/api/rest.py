"""GitHub's REST API of self-hosted runners."""

import base64
import json
import secrets
from typing import Any

from aiohttp import web

from simulator.hub.api import access
from simulator.hub.api.service import services_url
from simulator.hub.model import MAXIMUM_NAME, NAME_TOO_LONG, Runner, timestamp
from simulator.hub.refusals import Refusal, not_found
from simulator.hub.state import SCOPES, base_url, is_ghes, json_object, scope_of, world_of

MAXIMUM_LABELS = 100
JIT_SINCE, NAME_FILTER_SINCE = (3, 10), (3, 11)


def routes() -> list[web.RouteDef]:
    """Return the routes for each scope, without a prefix."""
    found = []
    for scope in SCOPES:
        runners = scope + "/actions/runners"
        found += [
            web.post(runners + "/{kind:registration|remove}-token", make_token),
            web.get(runners, list_runners),
            web.get(runners + "/downloads", list_downloads),
            web.post(runners + "/generate-jitconfig", generate_jitconfig),
            web.get(runners + r"/{runner_id:\d+}", get_runner),
            web.delete(runners + r"/{runner_id:\d+}", delete_runner),
            web.get(runners + "/deprecations/{version}", get_deprecation),
            web.get(scope + "/actions/runner-groups", list_groups),
        ]
    return found


async def make_token(request: web.Request) -> web.Response:
    """POST registration-token, remove-token."""
    access.require(request, write=True)
    made = world_of(request).make_token(request.match_info["kind"], scope_of(request))
    body = {"token": made.token, "expires_at": timestamp(made.expires)}
    return web.json_response(body, status=201)


async def list_runners(request: web.Request) -> web.Response:
    """GET runners; `config.sh` also asks here whether its name is taken."""
    access.require_token_or(request, "registration", write=False)
    world = world_of(request)
    name = request.query.get("name") if _ghes_has(request, NAME_FILTER_SINCE) else None
    found = world.in_scope(scope_of(request), name)
    shown = [runner.as_github(world.is_online(runner)) for runner in found]
    return page(request, "runners", shown)


async def get_runner(request: web.Request) -> web.Response:
    """GET one runner."""
    access.require(request, write=False)
    world = world_of(request)
    runner = _runner(request)
    return web.json_response(runner.as_github(world.is_online(runner)))


async def delete_runner(request: web.Request) -> web.Response:
    """DELETE a runner, with the REST API's credentials or by `config.sh remove`."""
    access.require_token_or(request, "remove", write=True)
    world_of(request).delete_runner(_runner(request))
    return web.Response(status=204)


async def list_groups(request: web.Request) -> web.Response:
    """GET runner groups; a repository's are shown to `config.sh` only."""
    scope = scope_of(request)
    if scope.startswith("repos/"):
        access.require_token(request, "registration")
    else:
        access.require_token_or(request, "registration", write=False)
    url = f"{base_url(request)}/{scope}/actions/runner-groups"
    shown = [
        {
            "id": group.id,
            "name": group.name,
            "visibility": "all",
            "default": group.default,
            "runners_url": f"{url}/{group.id}/runners",
            "inherited": False,
            "allows_public_repositories": True,
        }
        for group in world_of(request).groups
    ]
    return page(request, "runner_groups", shown)


async def list_downloads(request: web.Request) -> web.Response:
    """GET downloads."""
    access.require(request, write=False)
    version = world_of(request).settings.runner_version
    name = f"actions-runner-linux-x64-{version}.tar.gz"
    url = f"https://github.com/actions/runner/releases/download/v{version}/{name}"
    shown = {"os": "linux", "architecture": "x64", "download_url": url, "filename": name}
    return web.json_response([shown])


async def get_deprecation(request: web.Request) -> web.Response:
    """GET deprecations of a version; an Enterprise Server does not have this call."""
    access.require(request, write=False)
    if is_ghes(request):
        raise not_found()
    version = request.match_info["version"]
    known = world_of(request).deprecations.get(version)
    body = {
        "runner_version": version,
        "registration_deprecates_at": known.registration_at if known else None,
        "runtime_deprecates_at": known.runtime_at if known else None,
    }
    return web.json_response(body)


async def generate_jitconfig(request: web.Request) -> web.Response:
    """POST generate-jitconfig."""
    access.require(request, write=True)
    if not _ghes_has(request, JIT_SINCE):
        raise not_found()
    body = await _jit_body(request)
    world = world_of(request)
    if world.group(body["runner_group_id"]) is None:
        raise not_found()
    runner = world.add_runner(
        name=body["name"],
        scope=scope_of(request),
        labels=[{"name": label, "type": "user"} for label in body["labels"]],
        group_id=body["runner_group_id"],
        ephemeral=True,
        key=secrets.token_hex(32),
        work_folder=body.get("work_folder", "_work"),
        jit=True,
    )
    answer = {
        "runner": runner.as_github(online=False),
        "encoded_jit_config": _jit_config(request, runner),
    }
    return web.json_response(answer, status=201)


def page(request: web.Request, member: str, items: list[dict[str, Any]]) -> web.Response:
    """Return one page of a list, with a Link header if there are more."""
    size = max(1, min(100, _number(request, "per_page", 30)))
    number = max(1, _number(request, "page", 1))
    last = max(1, -(-len(items) // size))
    shown = items[(number - 1) * size : number * size]
    relations = {"prev": number - 1, "next": number + 1, "last": last, "first": 1}
    if number == 1:
        del relations["prev"], relations["first"]
    if number >= last:
        del relations["next"], relations["last"]
    links = [
        f'<{base_url(request)}{_path(request)}?{_query(request, target)}>; rel="{relation}"'
        for relation, target in relations.items()
    ]
    headers = {"Link": ", ".join(links)} if links else {}
    return web.json_response({"total_count": len(items), member: shown}, headers=headers)


def _path(request: web.Request) -> str:
    return request.path.removeprefix("/api/v3")


def _query(request: web.Request, page_number: int) -> str:
    query = {**request.query, "page": str(page_number)}
    return request.url.with_query(query).query_string


def _number(request: web.Request, name: str, default: int) -> int:
    text = request.query.get(name, "")
    return int(text) if text.isdecimal() else default


def _runner(request: web.Request) -> Runner:
    found = world_of(request).runners.get(int(request.match_info["runner_id"]))
    if found is None or found.scope != scope_of(request):
        raise not_found()
    return found


def _ghes_has(request: web.Request, since: tuple[int, int]) -> bool:
    if not is_ghes(request):
        return True
    major, minor = world_of(request).settings.ghes_version.split(".")[:2]
    return (int(major), int(minor)) >= since


async def _jit_body(request: web.Request) -> dict[str, Any]:
    try:
        body = await json_object(request)
    except ValueError:
        raise Refusal(400, "Problems parsing JSON") from None
    for name, kind in (("name", str), ("runner_group_id", int), ("labels", list)):
        if name not in body:
            raise Refusal(422, f'Invalid request.\n\n"{name}" wasn\'t supplied.')
        if not isinstance(body[name], kind) or isinstance(body[name], bool):
            raise Refusal(422, f"Invalid request.\n\nFor '{name}', {body[name]!r} is no {kind}.")
    if not 1 <= len(body["labels"]) <= MAXIMUM_LABELS:
        raise Refusal(422, "Invalid request.\n\nlabels must have 1 to 100 items.")
    if not all(isinstance(label, str) and label for label in body["labels"]):
        raise Refusal(422, "Invalid request.\n\nlabels must be non-empty strings.")
    if not 1 <= len(body["name"]) <= MAXIMUM_NAME:
        raise Refusal(422, NAME_TOO_LONG)
    return body


def _jit_config(request: web.Request, runner: Runner) -> str:
    services = services_url(request)
    data = {"ClientId": runner.client_id, "AuthorizationUrl": services + "oauth2/token"}
    files = {
        ".runner": _jit_settings(request, runner, services),
        ".credentials": {"Scheme": "OAuth", "Data": data},
        ".credentials_rsaparams": {"d": runner.key},
    }
    encoded = {
        name: base64.b64encode(json.dumps(content).encode()).decode()
        for name, content in files.items()
    }
    return base64.b64encode(json.dumps(encoded).encode()).decode()


def _jit_settings(request: web.Request, runner: Runner, services: str) -> dict[str, str]:
    group = world_of(request).group(runner.group_id)
    path = runner.scope.removeprefix("repos/").removeprefix("orgs/")
    host = f"{request.scheme}://{request.host}" if is_ghes(request) else "https://github.com"
    return {
        "AgentId": str(runner.id),
        "AgentName": runner.name,
        "PoolId": str(runner.group_id),
        "PoolName": group.name if group else "",
        "DisableUpdate": "true",
        "Ephemeral": "True",
        "ServerUrl": services,
        "GitHubUrl": f"{host}/{path}",
        "WorkFolder": runner.work_folder,
        "UseV2Flow": "True",
        "ServerUrlV2": services,
    }
