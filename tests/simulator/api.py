"""Requests to the simulator's REST API."""

from __future__ import annotations

from collections.abc import Callable

import requests

PAT = "ghp_simulator"
SCOPES = ("repos/acme/shop", "orgs/acme", "enterprises/acme")
JIT = {"name": "r", "runner_group_id": 1, "labels": ["self-hosted"]}
Call = Callable[..., requests.Response]


def add_runners(call: Call, *names: str, scope: str = SCOPES[0]) -> list[int]:
    """Register runners by just-in-time configurations, and return their ids."""
    path = f"{scope}/actions/runners/generate-jitconfig"
    answers = [call("POST", path, json={**JIT, "name": name}) for name in names]
    return [answer.json()["runner"]["id"] for answer in answers]
