"""The runner in a task of the stand-in: GitHub lists it, and there is no container."""

from __future__ import annotations

import base64
import json
import urllib.request
from collections.abc import Sequence
from typing import Any

from simulator import Simulator

TOKEN = "ghp_simulator"
VERSION = "2.336.0"


class Listener:
    """A listener with a JIT configuration: online once `open` has logged in."""

    def __init__(self, jit: str) -> None:
        """`jit` is the configuration that the task was given."""
        files = {
            name: json.loads(base64.b64decode(content))
            for name, content in json.loads(base64.b64decode(jit)).items()
        }
        self._base = files[".runner"]["ServerUrlV2"]
        self._login = {
            "grant_type": "client_credentials",
            "client_id": files[".credentials"]["Data"]["ClientId"],
            "client_assertion": files[".credentials_rsaparams"]["d"],
        }
        self._token = ""
        self._session = ""

    def open(self) -> None:
        """Log in, which makes it online."""
        self._token = self._ask("oauth2/token", self._login)["access_token"]
        session = {"owner_name": "task", "version": VERSION, "pid": 1}
        self._session = self._ask("session", session)["session_id"]

    def take_job(self) -> dict[str, Any]:
        """Wait for a job and take it, so that the runner is busy."""
        query = f"sessionId={self._session}&status=Online&runnerVersion={VERSION}"
        message = self._ask(f"message?{query}")
        request = {"jobMessageId": message["runner_request_id"]}
        return self._ask(message["run_service_url"] + "acquirejob", request)

    def _ask(self, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        url = path if "://" in path else self._base + path
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json", "User-Agent": "listener"}
        if self._token:
            headers["Authorization"] = "Bearer " + self._token
        with urllib.request.urlopen(urllib.request.Request(url, data, headers)) as response:
            found: dict[str, Any] = json.loads(response.read())
        return found


def register(github: Simulator, name: str, labels: Sequence[str]) -> Listener:
    """Register a runner of acme/shop that no action has started; it is offline."""
    url = f"{github.url}/repos/acme/shop/actions/runners/generate-jitconfig"
    body = {"name": name, "runner_group_id": 1, "labels": list(labels)}
    headers = {"Authorization": f"Bearer {TOKEN}", "User-Agent": "test"}
    request = urllib.request.Request(url, json.dumps(body).encode(), headers, method="POST")
    with urllib.request.urlopen(request) as response:
        return Listener(json.loads(response.read())["encoded_jit_config"])
