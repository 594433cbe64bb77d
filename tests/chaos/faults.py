"""What goes wrong at GitHub during a life: short troubles, which must not matter, and outages."""

import random
from typing import Any

from tests.chaos.plan import START, TOLD, Moment, Plan

REST = "^/repos/"  # the REST API; the service of the listeners has other paths
TOKENS = "/registration-token|/generate-jitconfig"
REMOVAL = "/remove-token|/actions/runners/[0-9]|/actions/runners[?]"
LIMITED = {"status": 429, "headers": {"Retry-After": "1"}}

# Each is over after one or two requests, so that it may cost time and nothing else.
BOUNDED: list[dict[str, Any]] = [
    {"path": TOKENS, "status": 500},
    {"path": TOKENS, "status": 502, "body": "<html>Bad Gateway</html>"},
    {"path": TOKENS, **LIMITED},
    {"path": "/registration-token", "reset": True, "after": True},
    {"path": "/actions/runner-registration", "status": 500},
    {"path": "/actions/runners/register$", "status": 503},
    {"path": "/actions/runners/register$", "delay": 0.7},
    {"path": "/actions/runners/register$", "delay": 0.7, "after": True},
    {"path": "/_services/session", "method": "POST", "status": 500},
    {"path": "/_services/message", "reset": True},
    {"path": "/_services/completejob", "status": 500, "times": 2},
    {"path": "/_services/completejob", "reset": True, "after": True},
    {"path": "/_services/session", "method": "DELETE", "reset": True},
    {"path": REMOVAL, "status": 500},
    {"path": REMOVAL, "status": 503, "times": 2},
    {"path": REMOVAL, **LIMITED},
    {"path": REMOVAL, "reset": True},
    {"path": REMOVAL, "reset": True, "after": True},
    {"path": "/remove-token|/actions/runners/[0-9]", "hang": True},  # not for config.sh
    {"path": REMOVAL, "delay": 0.5, "times": 3},
    {"path": "/actions/runners/[0-9]", "method": "DELETE", "reset": True, "after": True},
    {"path": "/actions/runners/[0-9]", "method": "DELETE", "status": 502, "times": 2},
    {"path": "/actions/runners/[0-9]", "method": "DELETE", "delay": 0.7, "after": True},
]

# config.sh fails, and GitHub may have registered the runner.
FATAL: list[dict[str, Any]] = [
    {"path": "/actions/runners/register$", "reset": True, "after": True},
    {"path": "/actions/runners/register$", "reset": True, "after": True, "times": 3},
    {"path": "/actions/runners/register$", "status": 500, "times": 3},
]
RUNNER_FAILED, LEFT = 76, 74


def disturb(rng: random.Random, plan: Plan) -> None:
    """Give about one life of three a trouble."""
    if plan.honest or rng.random() > 0.35:
        return
    if rng.random() < 0.1:
        plan.add(START, "fault", rng.choice(FATAL))
        plan.honest.append(RUNNER_FAILED)
    else:
        plan.add(START, "fault", rng.choice(BOUNDED))


def outage(rng: random.Random, plan: Plan, begin: Moment) -> None:
    """Let GitHub's API fail from a moment on, until after the stop or for good."""
    how: dict[str, Any] = rng.choice([{"reset": True}, {"status": 500}, {"hang": True}])
    plan.add(begin, "fault", {"path": REST, "times": 0, **how})
    if "hang" not in how and rng.random() < 0.6:
        plan.add(TOLD.after(rng.uniform(0.5, 3)), "clear", None)
    else:
        plan.honest.append(LEFT)
