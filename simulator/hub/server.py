"""The server: its routes, the middleware around them, and its start."""

import asyncio
import json
import os
import secrets
import signal
import socket
import ssl
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from simulator.hub import faults
from simulator.hub.api import access, apps, control, registration, rest, service
from simulator.hub.pulse import EventLog
from simulator.hub.refusals import Refusal, not_found
from simulator.hub.state import STATE, State, scope_of

PREFIXES = ("", "/api/v3")
MAXIMUM_BODY = 64 * 1024 * 1024
UNLIMITED = (service.PATH, "/api/v3/")  # an Enterprise Server has no rate limits by default
API_VERSIONS = ("2022-11-28", "2026-03-10")


@dataclass(frozen=True)
class Options:
    """Where the server listens; with a certificate also for TLS, on another port."""

    host: str = "127.0.0.1"
    port: int = 0
    ready_file: str = ""
    ready_fd: int = -1
    tls_port: int = -1
    certificate: str = ""
    key: str = ""
    exit_with_stdin: bool = False
    listen_fd: Sequence[int] = ()


def make_app() -> web.Application:
    """Return the application, with an empty GitHub in it."""
    app = web.Application(middlewares=[_record, _decorate], client_max_size=MAXIMUM_BODY)
    app[STATE] = State()
    for prefix in PREFIXES:
        found = [*rest.routes(), *apps.routes(), *registration.routes()]
        app.add_routes([_prefixed(route, prefix) for route in found])
    app.add_routes(service.routes())
    app.add_routes(control.routes())
    return app


def _prefixed(route: web.RouteDef, prefix: str) -> web.RouteDef:
    return web.RouteDef(route.method, prefix + route.path, route.handler, route.kwargs)


@web.middleware
async def _record(request: web.Request, handler: faults.Handler) -> web.StreamResponse:
    """Note the request and let it meet its fault.

    A request is carried out to its end although its client has gone, as at GitHub.
    """
    if request.path.startswith(control.PATH):
        return await handler(request)
    state = request.app[STATE]
    events = state.events
    entry = await _begin_entry(state, request)
    fault = state.faults.take(request)
    if fault is not None:
        events.add("fault", request=entry["id"], method=request.method, path=request.path)
    task = asyncio.ensure_future(_within_limits(state, fault, request, handler))
    state.under_way.add(task)
    task.add_done_callback(state.under_way.discard)
    try:
        response = await (task if _may_be_cancelled(request, fault) else asyncio.shield(task))
    except asyncio.CancelledError:
        _end_entry(events, entry, None)
        if events is not state.events:  # `reset` has cancelled the request; its client waits
            faults.hang_up(request)
        raise
    except Refusal as refusal:
        response = _refused(refusal)
    _end_entry(events, entry, None if fault and fault.reset else response.status)
    response.headers["x-github-request-id"] = entry["id"]
    return response


async def _within_limits(
    state: State, fault: faults.Fault | None, request: web.Request, handler: faults.Handler
) -> web.StreamResponse:
    """Answer a request, unless its credential has asked for too much."""
    scheme, credential = access.authorization(request)
    if scheme in ("", access.REMOTE_AUTH) or request.path.startswith(UNLIMITED):
        return await _meet(fault, request, handler)
    with state.limits.admit(credential, request.method, state.world.settings):
        return await _meet(fault, request, handler)


async def _meet(
    fault: faults.Fault | None, request: web.Request, handler: faults.Handler
) -> web.StreamResponse:
    return await (faults.suffer(fault, request, handler) if fault else handler(request))


def _may_be_cancelled(request: web.Request, fault: faults.Fault | None) -> bool:
    """Return whether a request changes nothing, so that it may end with its client."""
    return request.path == service.PATH + "message" or (fault is not None and fault.hang)


async def _begin_entry(state: State, request: web.Request) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "id": secrets.token_hex(8).upper(),
        "method": request.method,
        "path": request.path,
        "query": request.query_string,
        "time": time.time(),
        "status": None,
        "seconds": None,
        "user_agent": request.headers.get("User-Agent", ""),
        "headers": sorted(request.headers),
        "scheme": access.authorization(request)[0],
        "body": (await request.read()).decode(errors="replace"),
    }
    state.requests.append(entry)
    state.events.add("request", request=entry["id"], method=request.method, path=request.path)
    return entry


def _end_entry(events: EventLog, entry: dict[str, Any], status: int | None) -> None:
    entry["status"] = status
    entry["seconds"] = round(time.time() - entry["time"], 4)
    shown = {name: entry[name] for name in ("method", "path", "status")}
    events.add("answer", request=entry["id"], **shown)


@web.middleware
async def _decorate(request: web.Request, handler: faults.Handler) -> web.StreamResponse:
    """Turn refusals into answers, and give every answer GitHub's headers."""
    if request.path.startswith((service.PATH, control.PATH)):
        return await _answer(request, handler)
    response = _unsuitable(request) or await _answer(request, handler)
    credential = request.get(access.CREDENTIAL)
    headers = credential.headers(scope_of(request)) if credential else {}
    for name, value in headers.items():
        response.headers.setdefault(name, value)
    response.headers["x-github-media-type"] = "github.v3; format=json"
    return response


def _unsuitable(request: web.Request) -> web.Response | None:
    """Return the answer to a request whose headers GitHub refuses; None to others."""
    if not request.headers.get("User-Agent"):
        message = "Request forbidden by administrative rules. Please make sure your request has a"
        return _refused(Refusal(403, message + " User-Agent header."))
    version = request.headers.get("X-GitHub-Api-Version", API_VERSIONS[0])
    if version not in API_VERSIONS:
        return _refused(Refusal(400, f"'{version}' is not a supported API version."))
    return None


async def _answer(request: web.Request, handler: faults.Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except Refusal as refusal:
        return _refused(refusal)
    except (web.HTTPNotFound, web.HTTPMethodNotAllowed):
        return _refused(not_found())
    except (KeyError, ValueError) as error:
        return _refused(Refusal(422, f"{type(error).__name__}: {error}"))


def _refused(refusal: Refusal) -> web.Response:
    return web.json_response(refusal.body(), status=refusal.status, headers=refusal.headers)


def serve(options: Options) -> None:
    """Run the server until SIGINT or SIGTERM."""
    asyncio.run(_serve(options))


async def _serve(options: Options) -> None:
    # A client that hangs up cancels its handler: a listener that is gone must not get a job.
    runner = web.AppRunner(
        make_app(), access_log=None, handler_cancellation=True, shutdown_timeout=0.0
    )
    await runner.setup()
    site = web.TCPSite(runner, options.host, options.port)
    await site.start()
    if options.certificate:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(options.certificate, options.key or None)
        await web.TCPSite(
            runner, options.host, max(0, options.tls_port), ssl_context=context
        ).start()
    announced = [address[1] for address in runner.addresses]
    for descriptor in options.listen_fd:
        await web.SockSite(runner, socket.socket(fileno=descriptor)).start()
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signum in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(signum, stop.set)
    if options.exit_with_stdin:
        loop.add_reader(sys.stdin, stop.set)
    _announce(options, announced)
    await stop.wait()
    await runner.cleanup()


def _announce(options: Options, ports: list[int]) -> None:
    ready: dict[str, Any] = {"url": f"http://{options.host}:{ports[0]}", "pid": os.getpid()}
    if len(ports) > 1:
        ready["tls_port"] = ports[1]
    line = json.dumps(ready) + "\n"
    if options.ready_fd >= 0:
        os.write(options.ready_fd, line.encode())
        os.close(options.ready_fd)
    if options.ready_file:
        with open(options.ready_file + ".new", "w", encoding="utf-8") as file:
            file.write(line)
        os.rename(options.ready_file + ".new", options.ready_file)
    if options.ready_fd < 0 and not options.ready_file:
        sys.stdout.write(line)
        sys.stdout.flush()
