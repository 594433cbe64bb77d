"""The service that listeners and workers talk to: sessions, messages, jobs."""

import asyncio
import time
from typing import Any

from aiohttp import web

from simulator.hub.api import access
from simulator.hub.model import Job, Runner
from simulator.hub.refusals import Refusal, not_found
from simulator.hub.state import json_object, world_of
from simulator.hub.world import World

PATH = "/_services/"
CANCEL_AGAIN = 0.2  # seconds between two cancellations of a job that is cancelled for ever
REFUSED = {
    "refused": (404, "Job message not found"),
    "taken": (409, "Job message already acquired"),
}


def routes() -> list[web.RouteDef]:
    """Return the routes of listeners and workers."""
    return [
        web.post(PATH + "oauth2/token", log_in),
        web.post(PATH + "session", open_session),
        web.delete(PATH + "session", close_session),
        web.get(PATH + "message", poll),
        web.post(PATH + "acknowledge", acknowledge),
        web.post(PATH + "acquirejob", acquire_job),
        web.post(PATH + "renewjob", renew_job),
        web.post(PATH + "jobstarted", job_started),
        web.post(PATH + "joblog", job_log),
        web.post(PATH + "completejob", complete_job),
    ]


async def log_in(request: web.Request) -> web.Response:
    """POST oauth2/token: a listener proves who it is."""
    body = await json_object(request)
    world = world_of(request)
    for runner in world.runners.values():
        known = (runner.client_id, runner.key)
        if known == (body.get("client_id"), body.get("client_assertion")):
            return web.json_response({"access_token": world.new_access_token(runner)})
    return web.json_response({"error": "invalid_client"}, status=400)


async def open_session(request: web.Request) -> web.Response:
    """POST session: a listener comes online."""
    world, runner = world_of(request), _runner(request)
    body = await json_object(request)
    runner.version = str(body["version"])
    _refuse_deprecated(world, runner.version, "session")
    return web.json_response({"session_id": world.open_session(runner, int(body["pid"]))})


async def close_session(request: web.Request) -> web.Response:
    """DELETE session: a listener goes offline."""
    world_of(request).close_session(_runner(request))
    return web.Response(status=204)


async def poll(request: web.Request) -> web.Response:
    """GET message: a listener waits for a message; 202 if none comes in time.

    A runner that is deleted during a poll learns of it at its next poll, as at GitHub.
    """
    world, runner = world_of(request), _runner(request)
    _refuse_deprecated(world, request.query["runnerVersion"], "poll")
    if request.query["sessionId"] != runner.session_id:
        raise Refusal(401, "Session expired")
    busy = request.query["status"] == "Busy"
    try:
        return await _next_message(request, world, runner, busy)
    except asyncio.CancelledError:
        if not busy:
            world.lose_session(runner)
        raise


async def _next_message(
    request: web.Request, world: World, runner: Runner, busy: bool
) -> web.Response:
    deadline = time.monotonic() + world.settings.poll_seconds
    while time.monotonic() < deadline:
        world.note_poll(runner)
        message = None
        if busy:
            message = await _cancellation(world, runner)
        elif runner.id in world.runners:
            message = _job(request, world, runner)
        if message is not None:
            return web.json_response(message)
        rest = deadline - time.monotonic()
        await world.changed.wait(min(rest, world.settings.session_seconds / 2))
    return web.Response(status=202)


def _job(request: web.Request, world: World, runner: Runner) -> dict[str, Any] | None:
    if runner.busy or request.transport is None or request.transport.is_closing():
        return None
    job = world.hand_out(runner)
    if job is None:
        return None
    return {
        "message_type": "RunnerJobRequest",
        "runner_request_id": job.id,
        "run_service_url": services_url(request),
    }


async def _cancellation(world: World, runner: Runner) -> dict[str, Any] | None:
    job = world.jobs.get(runner.job_id)
    if job is None or not job.cancel:
        return None
    if job.cancel_for_ever:
        await asyncio.sleep(CANCEL_AGAIN)
    else:
        job.cancel = False
    return {"message_type": "JobCancellation", "job_id": job.id}


async def acknowledge(request: web.Request) -> web.Response:
    """POST acknowledge: a listener has its message."""
    _runner(request)
    return web.Response(status=204)


async def acquire_job(request: web.Request) -> web.Response:
    """POST acquirejob: a listener fetches the job that a message told of."""
    world, runner = world_of(request), _runner(request)
    body = await json_object(request)
    job = world.jobs.get(str(body["jobMessageId"]))
    if job is None or runner.job_id != job.id:
        raise not_found()
    if job.hang in REFUSED:
        world.refuse_job(job, runner)
        status, message = REFUSED[job.hang]
        raise Refusal(status, f"{message} '{job.id}'.")
    if job.hang == "unanswered":
        await asyncio.Event().wait()
    world.events.add("job_acquired", job_id=job.id, job=job.name, runner=runner.name)
    answer = {
        "id": job.id,
        "name": job.name,
        "run": job.run,
        "always": job.always,
        "token": job.token,
        "hang": job.hang,
        "worker_start": job.worker_start,
        "container": job.container,
        "services": job.services,
        "dockerfile": job.dockerfile,
        "repository": job.scope.removeprefix("repos/") or "acme/shop",
        "runner_name": runner.name,
        "run_service_url": services_url(request),
    }
    return web.json_response(answer)


async def renew_job(request: web.Request) -> web.Response:
    """POST renewjob: a listener renews the lock of its job."""
    job, _ = await _job_of(request)
    world_of(request).extend_lease(job)
    return web.json_response({"lockedUntil": job.lease})


async def job_started(request: web.Request) -> web.Response:
    """POST jobstarted: a worker begins."""
    job, body = await _job_of(request)
    world_of(request).start_job(job, int(body["pid"]))
    return web.Response(status=204)


async def job_log(request: web.Request) -> web.Response:
    """POST joblog: a worker hands in the output of a step."""
    job, body = await _job_of(request)
    world_of(request).log_job(job, str(body["text"]))
    return web.Response(status=204)


async def complete_job(request: web.Request) -> web.Response:
    """POST completejob: a worker reports its result, or the listener that its worker died."""
    job, body = await _job_of(request)
    world_of(request).complete_job(job, str(body["result"]))
    return web.Response(status=204)


def services_url(request: web.Request) -> str:
    """Return the URL of this service."""
    return f"{request.scheme}://{request.host}{PATH}"


def _runner(request: web.Request) -> Runner:
    world = world_of(request)
    number = world.access_tokens.get(access.authorization(request)[1], 0)
    runner = world.runners.get(number) or world.ghosts.get(number)
    if runner is None:
        raise not_found()
    return runner


async def _job_of(request: web.Request) -> tuple[Job, dict[str, Any]]:
    body = await json_object(request)
    job = world_of(request).jobs.get(str(body.get("job_id")))
    if job is None or access.authorization(request)[1] != job.token:
        raise not_found()
    return job, body


def _refuse_deprecated(world: World, version: str, told_at: str) -> None:
    known = world.deprecations.get(version)
    if known is not None and known.told_at == told_at:
        message = f"Runner version v{version} is deprecated and cannot receive messages."
        raise Refusal(403, message)
