"""GitHub's answers for tests of the client, and a clock that moves only in a sleep."""

import dataclasses
import time
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Self

import responses

from entrypoint.github import runners
from entrypoint.github.client import Client
from entrypoint.settings.schema import Settings
from tests.support import contract, settings

TIMEOUT = 60.0  # seconds by either clock
CLASSIC = "ghp_" + "c" * 36
REPOSITORY = "https://api.github.com/repos/acme/shop"
ORGANIZATION = "https://api.github.com/orgs/acme"

# Every scope on every kind of host: the settings, and the address that requests must go to.
SCOPES = {
    "repository": ({"GITHUB_OWNER": "acme", "GITHUB_REPOSITORY": "shop"}, "/repos/acme/shop"),
    "organization": ({"GITHUB_OWNER": "acme"}, "/orgs/acme"),
    "enterprise": ({"GITHUB_ENTERPRISE": "acme"}, "/enterprises/acme"),
}
HOSTS: dict[str, tuple[dict[str, str], str]] = {
    "github.com": ({}, "https://api.github.com"),
    "server": ({"GITHUB_HOST": "ghe.example.com"}, "https://ghe.example.com/api/v3"),
    "ghe.com": ({"GITHUB_HOST": "acme.ghe.com"}, "https://api.acme.ghe.com"),
    "explicit": (
        {"GITHUB_API_URL": "https://ghe.example.com/api/v3/"},
        "https://ghe.example.com/api/v3",
    ),
}
PLACES = {
    f"{scope}-{host}": ({**where, **at}, root + path)
    for scope, (where, path) in SCOPES.items()
    for host, (at, root) in HOSTS.items()
}


def root(base: str) -> str:
    """Return the root of the API to which an address of PLACES belongs."""
    return next(api for _, api in HOSTS.values() if base.startswith(api))


class Clock:
    """A clock that moves only while something sleeps."""

    def __init__(self) -> None:
        self.time = 1000.0
        self.slept: list[float] = []

    def now(self) -> float:
        """Return the moment, as time.monotonic() does."""
        return self.time

    def sleep(self, seconds: float) -> None:
        """Let the time pass at once."""
        self.slept.append(seconds)
        self.time += seconds


class Hub(responses.RequestsMock):
    """A GitHub whose answers are given beforehand."""

    def __enter__(self) -> Self:
        """Begin to answer."""
        super().__enter__()
        return self

    def __exit__(self, kind: Any, value: Any, traceback: Any) -> None:
        """Fail if an answer was never asked for, unless the test has failed already."""
        try:
            self.stop(allow_assert=kind is None)
        finally:
            self.reset()


def hub() -> Hub:
    """A hub that checks requests and answers against GitHub's description of its API."""
    return Hub(response_callback=contract.keep)


def parse(values: Mapping[str, str]) -> Settings:
    """Return settings of a repository with a classic token, unless the values differ."""
    scope = (
        {}
        if {"GITHUB_URL", "GITHUB_OWNER", "GITHUB_ENTERPRISE"} & {*values}
        else SCOPES["repository"][0]
    )
    credential = (
        {} if {"RUNNER_TOKEN", "GITHUB_APP_ID"} & {*values} else {"GITHUB_PERSONAL_TOKEN": CLASSIC}
    )
    return settings.parse({**scope, **credential, **values})


def connect(values: Mapping[str, str] = MappingProxyType({}), clock: Clock | None = None) -> Client:
    """Return a Client for the list of runners that the values name; see `parse`."""
    secrets = {"GITHUB_PERSONAL_TOKEN": CLASSIC, **values}
    if "RUNNER_TOKEN" in values or "GITHUB_APP_ID" in values:
        del secrets["GITHUB_PERSONAL_TOKEN"]
    api = runners.connect(parse(values), secrets, time.monotonic() + TIMEOUT)
    return at(clock or Clock(), api)


def at(clock: Clock, api: Client) -> Client:
    """Return the same Client with another clock."""
    fresh = clock.now() + 10 if api.fresh_until else 0.0
    return dataclasses.replace(
        api,
        deadline=clock.now() + TIMEOUT,
        fresh_until=fresh,
        sleep=clock.sleep,
        now=clock.now,
    )


def entry(
    number: int, name: str, status: str = "online", *, busy: bool = False, labels: str = "linux"
) -> dict[str, Any]:
    """Return an entry of the list of runners as GitHub writes it."""
    return {
        "id": number,
        "name": name,
        "os": "linux",
        "status": status,
        "busy": busy,
        "labels": [{"id": 1, "name": label, "type": "custom"} for label in labels.split(",")],
    }


def listing(*entries: dict[str, Any], total: int | None = None) -> dict[str, Any]:
    """Return a page of the list of runners."""
    return {"total_count": len(entries) if total is None else total, "runners": list(entries)}


TOKEN = {"token": "AABBCCDDEEFFGGHHIIJJKKLLMMNNO", "expires_at": "2030-01-01T00:00:00Z"}
NOT_FOUND = {"message": "Not Found", "documentation_url": "https://docs.github.com/rest"}
