"""The control API below /_simulator/: what tests and the demo tell the simulator."""

import dataclasses
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from simulator.hub import credentials, refusals
from simulator.hub.credentials import App, Installation
from simulator.hub.faults import Fault
from simulator.hub.model import HANGS, Group, Job
from simulator.hub.state import STATE, State, json_object
from simulator.hub.world import Deprecation

PATH = "/_simulator/"
Action = Callable[[State, dict[str, Any]], Any]
KINDS = {
    "noop": ":",
    "sleep": "sleep 60",
    "stubborn": "trap '' INT TERM\nwhile :; do sleep 0.2; done",
    "failure": "exit 1",
    # Field 4 is the parent (proc_pid_stat(5)): the step's is the worker, the worker's the listener.
    "stops-listener": "kill -STOP \"$(cut -d' ' -f4 /proc/$PPID/stat)\"",
}


def routes() -> list[web.RouteDef]:
    """Return the routes: GET for lists, POST with a JSON object for all else."""
    actions: dict[str, Action] = {
        "jobs": queue_job,
        "jobs/cancel": cancel_job,
        "faults": add_fault,
        "faults/clear": clear_faults,
        "faults/release": release_faults,
        "credentials": add_credential,
        "credentials/revoke": revoke_credential,
        "apps": add_app,
        "tokens/expire": expire_tokens,
        "runners/delete": delete_runner,
        "groups": add_group,
        "deprecations": deprecate,
        "settings": change_settings,
        "reset": reset,
    }
    posts = [web.post(PATH + name, _handler(action)) for name, action in actions.items()]
    return [
        web.get(PATH + "jobs", list_jobs),
        web.get(PATH + "runners", list_runners),
        web.get(PATH + "requests", list_requests),
        web.get(PATH + "tokens", list_tokens),
        web.get(PATH + "events", wait_for_events),
        *posts,
    ]


def _handler(action: Action) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def handle(request: web.Request) -> web.Response:
        try:
            return web.json_response(action(request.app[STATE], await json_object(request)))
        except (KeyError, TypeError, ValueError) as error:
            raise refusals.Refusal(422, f"{type(error).__name__}: {error}") from error

    return handle


def queue_job(state: State, body: dict[str, Any]) -> Any:
    """Queue a job: `run` or `kind`, and any field of `Simulator.queue_job`."""
    hang = body.get("hang", "")
    if hang and hang not in HANGS:
        raise ValueError(f"hang is one of {', '.join(HANGS)}")
    job = Job(
        id=str(uuid.uuid4()),
        name=body.get("name", "build"),
        run=body["run"] if "run" in body else KINDS[body.get("kind", "noop")],
        always=body.get("always", ""),
        labels=body.get("labels", ["self-hosted"]),
        scope=body.get("scope", "").lower(),
        hang=hang,
        worker_start=body.get("worker_start"),
        container=body.get("container", ""),
        services=body.get("services", {}),
        dockerfile=body.get("dockerfile", ""),
    )
    return state.world.queue_job(job).as_json()


def cancel_job(state: State, body: dict[str, Any]) -> Any:
    """Cancel the job `id`; with `for_ever` its runner is told again and again."""
    job = state.world.jobs[body["id"]]
    state.world.cancel_job(job, for_ever=bool(body.get("for_ever")))
    return job.as_json()


def add_fault(state: State, body: dict[str, Any]) -> Any:
    """Add a fault: see `Fault`."""
    fault = Fault(**body)
    if fault.refusal and fault.refusal not in refusals.PRESETS:
        raise ValueError(f"refusal is one of {', '.join(refusals.PRESETS)}")
    state.faults.add(fault)
    return {}


def clear_faults(state: State, _body: dict[str, Any]) -> Any:
    """End all faults."""
    state.faults.clear()
    return {}


def release_faults(state: State, body: dict[str, Any]) -> Any:
    """Let the requests go on that a fault holds under `name`: see `Fault`."""
    state.faults.release(body["name"])
    return {}


def add_credential(state: State, body: dict[str, Any]) -> Any:
    """Accept a token: see `Credential`."""
    state.vault.add(credentials.credential_of(body))
    return {}


def revoke_credential(state: State, body: dict[str, Any]) -> Any:
    """Refuse `token` from now on."""
    return {"known": state.vault.revoke(body["token"])}


def add_app(state: State, body: dict[str, Any]) -> Any:
    """Make an App known: see `App` and `Installation`."""
    installations = [Installation(**item) for item in body.pop("installations", [])]
    state.vault.add_app(App(**body, installations=installations))
    return {}


def expire_tokens(state: State, body: dict[str, Any]) -> Any:
    """Expire all tokens of the `kinds`: registration, remove, installation."""
    kinds = tuple(body.get("kinds", ("registration", "remove", "installation")))
    expired = state.world.expire_tokens(kinds)
    if "installation" in kinds:
        expired += state.vault.expire_installation_tokens()
    return {"expired": expired}


def delete_runner(state: State, body: dict[str, Any]) -> Any:
    """Take the runner `id` off the list, busy or not; its listener is not told."""
    state.world.drop_runner(state.world.runners[int(body["id"])], "control")
    return {}


def add_group(state: State, body: dict[str, Any]) -> Any:
    """Add the runner group `name`."""
    group = Group(max(known.id for known in state.world.groups) + 1, body["name"])
    state.world.groups.append(group)
    return dataclasses.asdict(group)


def deprecate(state: State, body: dict[str, Any]) -> Any:
    """Refuse a runner version from now on: see `Deprecation`."""
    deprecation = Deprecation(**body)
    state.world.deprecations[deprecation.version] = deprecation
    return {}


def change_settings(state: State, body: dict[str, Any]) -> Any:
    """Change settings: see `world.Settings`."""
    state.world.settings = dataclasses.replace(state.world.settings, **body)
    return dataclasses.asdict(state.world.settings)


def reset(state: State, _body: dict[str, Any]) -> Any:
    """Forget everything."""
    state.reset()
    return {"last": state.events.last}


async def list_jobs(request: web.Request) -> web.Response:
    """GET all jobs."""
    return web.json_response([job.as_json() for job in request.app[STATE].world.jobs.values()])


async def list_runners(request: web.Request) -> web.Response:
    """GET all runners of all scopes."""
    world = request.app[STATE].world
    shown = [
        {**runner.as_github(world.is_online(runner)), "scope": runner.scope, "jit": runner.jit}
        for runner in world.runners.values()
    ]
    return web.json_response(shown)


async def list_requests(request: web.Request) -> web.Response:
    """GET all requests but those to this API."""
    return web.json_response(request.app[STATE].requests)


async def list_tokens(request: web.Request) -> web.Response:
    """GET the tokens that were given out, by kind: registration, remove, installation.

    With `scope` only the runner tokens of that scope are listed, and all installation tokens.
    """
    state, scope = request.app[STATE], request.query.get("scope")
    found: dict[str, list[str]] = {"installation": state.vault.installation_tokens()}
    for token in state.world.tokens.values():
        if scope in (None, token.scope):
            found.setdefault(token.kind, []).append(token.token)
    return web.json_response(found)


async def wait_for_events(request: web.Request) -> web.Response:
    """GET the events after `after`; if there is none, wait `wait` seconds for one."""
    after, wait = int(request.query.get("after", "0")), float(request.query.get("wait", "0"))
    return web.json_response(await request.app[STATE].events.wait_after(after, wait))
