"""The data of one exchange with GitHub: the request, the answer, and how a refusal is explained."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from entrypoint.errors import ExitCode
from entrypoint.settings.credential import Kind
from entrypoint.settings.target import Target

_MAX_WORDS = 300  # characters of GitHub's or a proxy's words that one log line may hold
_MAX_ERRORS = 5


@dataclass(frozen=True)
class Request:
    """What a message may say about a request: nothing of it is secret."""

    method: str
    path: str
    target: Target
    kind: Kind
    credential_variable: str  # the variable that the credential came in


@dataclass(frozen=True)
class Answer:
    """An HTTP status with GitHub's words, or with status 0 what went wrong on the way to GitHub."""

    status: int = 0
    words: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)  # by lower-case names
    is_github: bool = True  # whether the body is JSON, as all of GitHub's refusals are
    trouble: str = ""

    def header(self, name: str) -> str:
        """Return a header, or an empty string."""
        return self.headers.get(name, "")

    def says(self, *phrases: str) -> bool:
        """Return whether GitHub's words contain one of these phrases, given in lower case."""
        return any(phrase in self.words.lower() for phrase in phrases)

    def missing_scopes(self) -> bool:
        """Return whether a classic token has none of the scopes that GitHub would accept."""
        accepted, granted = (
            {scope.strip() for scope in self.header(name).split(",")} - {""}
            for name in ("x-accepted-oauth-scopes", "x-oauth-scopes")
        )
        return "x-oauth-scopes" in self.headers and bool(accepted) and not accepted & granted


class Retry(StrEnum):
    """When to try a refused request again."""

    NEVER = "no"
    BACKOFF = "yes, with growing pauses"
    LIMIT = "yes, when the limit is over"
    FRESH = "just after an App's token was made"


@dataclass(frozen=True)
class Refusal:
    """One row of the table of refusals.

    `fits` recognises an answer and `sign` describes it for people; then what to do, and the exit
    code.
    """

    name: str
    fits: Callable[[Answer, Request], bool]
    sign: str
    remedy: str
    code: ExitCode
    retry: Retry = Retry.NEVER


def words(body: Any) -> str:
    """Return the message in a refusal's JSON body, as one line of bounded length."""
    if not isinstance(body, dict):
        return ""
    errors = body.get("errors") or []
    errors = errors if isinstance(errors, list) else [errors]
    texts = [_word(error) for error in errors[:_MAX_ERRORS]]
    said = ": ".join(filter(None, [str(body.get("message") or ""), ", ".join(texts)]))
    return line(said)


def line(said: str) -> str:
    """Return a text from outside without control characters, as one line of bounded length."""
    flat = " ".join("".join(c if c.isprintable() else " " for c in said).split())
    return flat if len(flat) <= _MAX_WORDS else flat[: _MAX_WORDS - 1] + "…"


def _word(error: Any) -> str:
    """Return one entry of `errors`: a text, or an object with message, or resource, field, code."""
    if not isinstance(error, dict):
        return str(error)
    keys = ("resource", "field", "code")
    return str(error.get("message") or " ".join(str(error[k]) for k in keys if error.get(k)))
