"""Every refusal is recognised, and explained alike in the code and in the documentation."""

import dataclasses
from typing import Any

import pytest

from entrypoint.errors import ExitCode
from entrypoint.github.answer import Answer, Request, Retry
from entrypoint.github.refusals import REFUSALS, refusal
from entrypoint.settings.credential import Kind
from entrypoint.settings.target import Scope, Target

SHOP = Target("https://github.com", Scope.REPOSITORY, "acme/shop")
PATH = "/repos/acme/shop/actions/runners/registration-token"
ASKED = Request("POST", PATH, SHOP, Kind.CLASSIC, "GITHUB_PERSONAL_TOKEN")

SAMPLES: dict[str, list[tuple[dict[str, Any], dict[str, Any]]]] = {
    "name resolution": [({"trouble": "dns"}, {})],
    "clock": [({"trouble": "clock"}, {})],
    "certificate": [({"trouble": "tls"}, {})],
    "certificate's name": [({"trouble": "hostname"}, {})],
    "proxy's address": [({"trouble": "proxy address"}, {})],
    "proxy log-in": [({"trouble": "proxy login"}, {}), ({"status": 407, "is_github": False}, {})],
    "proxy": [({"trouble": "proxy"}, {})],
    "time-out": [({"trouble": "timeout"}, {})],
    "no connection": [({"trouble": "connection"}, {})],
    "primary rate limit": [
        ({"status": 403, "headers": {"x-ratelimit-remaining": "0"}}, {}),
        ({"status": 403, "words": "API rate limit exceeded for user ID 1."}, {}),
        ({"status": 429, "headers": {"x-ratelimit-remaining": "0", "retry-after": "5"}}, {}),
    ],
    "secondary rate limit": [
        ({"status": 403, "words": "You have exceeded a secondary rate limit."}, {}),
        ({"status": 403, "headers": {"retry-after": "60"}}, {}),
        ({"status": 429}, {}),
    ],
    "unlike GitHub": [
        ({"status": 200, "is_github": False}, {}),
        ({"status": 403, "is_github": False}, {}),
    ],
    "redirect": [({"status": 301}, {}), ({"status": 307}, {})],
    "registration token": [
        ({"status": 401}, {"kind": Kind.REGISTRATION}),
        ({"status": 404}, {"kind": Kind.REGISTRATION}),
    ],
    "App's key": [
        ({"status": 401}, {"kind": Kind.APP, "path": "/repos/acme/shop/installation"}),
        ({"status": 401}, {"kind": Kind.APP, "path": "/app/installations/1/access_tokens"}),
    ],
    "bad credentials": [({"status": 401, "words": "Bad credentials"}, {})],
    "single sign-on": [
        ({"status": 403, "headers": {"x-github-sso": "required; url=https://github.com/o"}}, {}),
    ],
    "permissions": [
        ({"status": 403, "words": "Resource not accessible by personal access token"}, {}),
        ({"status": 403, "words": "Resource not accessible by integration"}, {"kind": Kind.APP}),
    ],
    "scopes": [
        (
            {
                "status": status,
                "headers": {"x-oauth-scopes": "gist", "x-accepted-oauth-scopes": "admin:org, repo"},
            },
            {},
        )
        for status in (403, 404)
    ],
    "no admin": [
        (
            {
                "status": 403,
                "words": "Must have admin rights to Repository.",
                "headers": {"x-oauth-scopes": "repo", "x-accepted-oauth-scopes": "repo"},
            },
            {},
        )
    ],
    "IP allow list": [
        ({"status": 403, "words": "the `acme` organization has an IP allow list enabled"}, {})
    ],
    "suspended": [({"status": 403, "words": "This installation has been suspended"}, {})],
    "forbidden": [({"status": 403, "words": "Forbidden"}, {})],
    "not installed": [
        ({"status": 404}, {"kind": Kind.APP, "path": "/orgs/acme/installation"}),
        ({"status": 404}, {"kind": Kind.APP, "path": "/app/installations/1/access_tokens"}),
    ],
    "no JIT": [
        ({"status": 404}, {"path": "/repos/acme/shop/actions/runners/generate-jitconfig"}),
    ],
    "not found": [({"status": 404}, {})],
    "conflict": [({"status": 409}, {})],
    "gone": [({"status": 410}, {})],
    "invalid": [({"status": 422}, {}), ({"status": 400}, {})],
    "GitHub failed": [
        ({"status": 500}, {}),
        ({"status": 502, "is_github": False}, {}),
        ({"status": 503, "headers": {"retry-after": "1"}}, {}),
    ],
    "unexpected": [({"status": 418}, {})],
}


@pytest.mark.parametrize(
    ("name", "answer", "asked"),
    [(name, answer, asked) for name, rows in SAMPLES.items() for answer, asked in rows],
)
def test_each_is_recognised(name: str, answer: dict[str, Any], asked: dict[str, Any]) -> None:
    """Each answer is recognised, although several rows may fit."""
    assert refusal(Answer(**answer), dataclasses.replace(ASKED, **asked)).name == name


def test_no_row_is_dead() -> None:
    """Each row can be reached, and has a name of its own."""
    assert [row.name for row in REFUSALS] == [*SAMPLES]


@pytest.mark.parametrize("row", REFUSALS, ids=lambda row: row.name)
def test_exit_codes(row: Any) -> None:
    """A refusal that another try may cure is 75; others are 77 or 78."""
    assert row.code in {ExitCode.RETRY, ExitCode.REFUSED, ExitCode.CONFIG}
    if row.retry in {Retry.BACKOFF, Retry.LIMIT}:
        assert row.code is ExitCode.RETRY
