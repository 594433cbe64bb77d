"""GitHub's refusals: their statuses, words and headers."""

import time
from typing import Any

DOCUMENTATION = "https://docs.github.com/rest"


class Refusal(Exception):
    """An answer that is no success: status, message, headers, and more members of the body."""

    def __init__(
        self,
        status: int,
        message: str,
        headers: dict[str, str] | None = None,
        **members: Any,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.headers = headers or {}
        self.members = members

    def body(self) -> dict[str, Any]:
        """Return the JSON body."""
        return {
            "message": self.message,
            **self.members,
            "documentation_url": DOCUMENTATION,
            "status": str(self.status),
        }


def bad_credentials() -> Refusal:
    """The token is unknown, expired or revoked."""
    return Refusal(401, "Bad credentials")


def not_found() -> Refusal:
    """There is no such thing, or this token may not see it."""
    return Refusal(404, "Not Found")


def rate_limited(reset: float | None = None) -> Refusal:
    """The primary rate limit is used up."""
    when = time.time() + 60 if reset is None else reset
    headers = {
        "x-ratelimit-remaining": "0",
        "x-ratelimit-reset": str(int(when)),
        "x-ratelimit-used": "5000",
    }
    return Refusal(403, "API rate limit exceeded for user ID 1.", headers)


def secondary_rate_limited(seconds: int | None = 60) -> Refusal:
    """The client has asked for too much at once."""
    message = "You have exceeded a secondary rate limit. Please wait a few minutes."
    return Refusal(403, message, {} if seconds is None else {"retry-after": str(seconds)})


def single_sign_on(organization: str) -> Refusal:
    """The token is not authorized for the organization."""
    url = f"https://github.com/orgs/{organization}/sso?authorization_request=AAAA"
    message = (
        "Resource protected by organization SAML enforcement. You must grant your Personal"
        " Access token access to this organization."
    )
    return Refusal(403, message, {"x-github-sso": f"required; url={url}"})


def not_accessible(by: str, permission: str) -> Refusal:
    """A fine-grained token or an App lacks a permission, e.g. administration=write."""
    message = f"Resource not accessible by {by}"
    return Refusal(403, message, {"x-accepted-github-permissions": permission})


def scope_missing(has: tuple[str, ...], needs: str) -> Refusal:
    """A classic token lacks a scope."""
    headers = {"x-oauth-scopes": ", ".join(has), "x-accepted-oauth-scopes": needs}
    return Refusal(403, f"This operation needs the {needs} scope.", headers)


def not_admin() -> Refusal:
    """The owner of the token may not administer the repository."""
    return Refusal(403, "Must have admin rights to Repository.")


def busy(name: str) -> Refusal:
    """A runner with a job cannot be deleted."""
    message = f"Runner {name} is currently running a job and cannot be deleted."
    return Refusal(422, message)


def server_error() -> Refusal:
    """GitHub has failed."""
    return Refusal(502, "Server Error")


PRESETS = {
    "bad-credentials": bad_credentials,
    "not-found": not_found,
    "rate-limit": rate_limited,
    "secondary-rate-limit": secondary_rate_limited,
    "single-sign-on": lambda: single_sign_on("acme"),
    "not-accessible": lambda: not_accessible("personal access token", "administration=write"),
    "scope-missing": lambda: scope_missing(("repo:status",), "repo"),
    "not-admin": not_admin,
    "server-error": server_error,
}
