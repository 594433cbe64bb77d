"""The kinds of credential, and the permissions that each kind needs at GitHub."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum

from entrypoint.settings.target import Scope


class Kind(StrEnum):
    """The kinds of credential that GitHub tells apart."""

    CLASSIC = "classic personal access token"
    FINE_GRAINED = "fine-grained personal access token"
    TOKEN = "personal access token"  # noqa: S105 - one whose form does not tell which kind
    APP = "GitHub App"
    REGISTRATION = "registration token"
    JIT = "JIT configuration"


_PREFIXES = {"ghp_": Kind.CLASSIC, "github_pat_": Kind.FINE_GRAINED}
_REGISTRATION = re.compile("A[A-Z0-9]{28}")
VARIABLES = ("GITHUB_PERSONAL_TOKEN", "GITHUB_APP_PRIVATE_KEY", "RUNNER_TOKEN", "RUNNER_JITCONFIG")


def variable_for(value: str) -> str:
    """Return the variable that takes a token of this form; "" if the form does not tell."""
    if value.startswith((*_PREFIXES, "gho_", "ghu_", "ghs_")):
        return "GITHUB_PERSONAL_TOKEN"
    return "RUNNER_TOKEN" if _REGISTRATION.fullmatch(value) else ""


def identify(secrets: Mapping[str, str]) -> tuple[str, Kind]:
    """Return the variable that holds the credential, and the credential's kind."""
    if secrets.get("RUNNER_JITCONFIG"):
        return "RUNNER_JITCONFIG", Kind.JIT
    if secrets.get("GITHUB_APP_PRIVATE_KEY"):
        return "GITHUB_APP_PRIVATE_KEY", Kind.APP
    if secrets.get("RUNNER_TOKEN"):
        return "RUNNER_TOKEN", Kind.REGISTRATION
    token = secrets.get("GITHUB_PERSONAL_TOKEN", "")
    kinds = [kind for prefix, kind in _PREFIXES.items() if token.startswith(prefix)]
    return "GITHUB_PERSONAL_TOKEN", kinds[0] if kinds else Kind.TOKEN


_CLASSIC = {
    Scope.REPOSITORY: "the scope `repo`, of a user who is an admin of the repository",
    Scope.ORGANIZATION: "the scope `admin:org`, of an owner of the organization",
    Scope.ENTERPRISE: "the scope `manage_runners:enterprise`, of an owner of the enterprise",
}
_PERMISSION = {
    Scope.REPOSITORY: "the repository permission `Administration: read and write`",
    Scope.ORGANIZATION: "the organization permission `Self-hosted runners: read and write`",
    Scope.ENTERPRISE: "a classic token instead: for an enterprise GitHub offers no such permission",
}


def needs(kind: Kind, scope: Scope) -> str:
    """Return the permission that a kind of credential needs for the runners of a scope."""
    if kind is Kind.CLASSIC:
        return _CLASSIC[scope]
    if kind is Kind.TOKEN:
        return f"{_CLASSIC[scope]} (classic), or {_PERMISSION[scope]} (fine-grained)"
    return _PERMISSION[scope]


def caveats(secrets: Mapping[str, str]) -> list[str]:
    """Return what an operator should be told about the credential at the start."""
    if identify(secrets)[1] is not Kind.REGISTRATION:
        return []
    said = (
        "RUNNER_TOKEN: a registration token is valid for one hour after it was made; a stop later"
        " than that cannot take the runner off GitHub's list; a personal access token or a GitHub"
        " App can"
    )
    return [said]
