"""What happens to a life beside stops and the troubles of GitHub."""

import random
from collections.abc import Callable
from signal import SIGHUP, SIGPIPE, SIGQUIT, SIGUSR1, SIGWINCH

from tests.chaos.faults import LEFT, RUNNER_FAILED
from tests.chaos.plan import LISTENING, START, WORKING, Plan

DONE = 0
LISTENER, WORKER = "Runner.Listener", "Runner.Worker"


def befall(rng: random.Random, plan: Plan) -> None:
    """Give one life of four an incident."""
    if not plan.honest and rng.random() < 0.25:
        rng.choice(INCIDENTS)(rng, plan)


def _listener_dies(rng: random.Random, plan: Plan) -> None:
    """The kernel kills the listener, idle or in a job; its worker goes on."""
    at = rng.choice([LISTENING.after(0.2), WORKING.after(0.05)])
    plan.add(at.after(rng.uniform(0, 0.4)), "kill", LISTENER)
    plan.honest += [RUNNER_FAILED, DONE]


def _worker_dies(rng: random.Random, plan: Plan) -> None:
    """The kernel kills the worker."""
    plan.add(WORKING.after(rng.uniform(0, 0.4)), "kill", WORKER)
    plan.honest += [RUNNER_FAILED, DONE]


def _forgotten(rng: random.Random, plan: Plan) -> None:
    """A person deletes the runner at GitHub, busy or not."""
    plan.add(LISTENING.after(rng.uniform(0, 0.4)), "forget", None)
    plan.honest += [RUNNER_FAILED]


def _revoked(rng: random.Random, plan: Plan) -> None:
    """GitHub no longer accepts the credential."""
    plan.add(LISTENING.after(rng.uniform(0, 0.2)), "revoke", None)
    plan.honest += [LEFT]


def _cancelled(rng: random.Random, plan: Plan) -> None:
    """A user cancels the job at GitHub."""
    plan.add(WORKING.after(rng.uniform(0, 0.4)), "cancel", None)
    plan.honest += [DONE]


def _noise(rng: random.Random, plan: Plan) -> None:
    """PID 1 gets signals that mean nothing to it."""
    for _ in range(5):
        signum = rng.choice([SIGHUP, SIGQUIT, SIGUSR1, SIGPIPE, SIGWINCH])
        plan.add(START.after(rng.uniform(0, 1)), "noise", int(signum))


INCIDENTS: list[Callable[[random.Random, Plan], None]] = [
    _listener_dies,
    _worker_dies,
    _forgotten,
    _revoked,
    _cancelled,
    _noise,
]
