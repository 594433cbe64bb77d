"""A request, what came back, and a row of the table of refusals that explains it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from entrypoint.errors import ExitCode
from entrypoint.settings.credential import Kind
from entrypoint.settings.target import Target


@dataclass(frozen=True)
class Asked:
    """A request as messages tell it: nothing in it is secret."""

    method: str
    path: str
    target: Target
    kind: Kind
    setting: str  # the variable that the credential came in


@dataclass(frozen=True)
class Answer:
    """What came back: a status with GitHub's words, or (status 0) the trouble on the way."""

    status: int = 0
    words: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)  # by lower-case names
    is_github: bool = True  # whether the body is JSON, as all of GitHub's refusals are
    trouble: str = ""

    def header(self, name: str) -> str:
        """Return a header, or an empty string."""
        return self.headers.get(name, "")

    def says(self, *phrases: str) -> bool:
        """Return whether GitHub's words hold one of these, in any case."""
        return any(phrase in self.words.lower() for phrase in phrases)

    def missing_scopes(self) -> bool:
        """Return whether a classic token has none of the scopes that would do."""
        accepted, granted = (
            {scope.strip() for scope in self.header(name).split(",")} - {""}
            for name in ("x-accepted-oauth-scopes", "x-oauth-scopes")
        )
        return "x-oauth-scopes" in self.headers and bool(accepted) and not accepted & granted


class Retry(StrEnum):
    """What another try could change."""

    NEVER = "no"
    BACKOFF = "yes, with growing pauses"
    LIMIT = "yes, when the limit is over"
    FRESH = "just after an App's token was made"


@dataclass(frozen=True)
class Refusal:
    """One row: how an answer is recognised (for code, for people), what it means, what to do."""

    name: str
    fits: Callable[[Answer, Asked], bool]
    sign: str
    remedy: str
    code: ExitCode
    retry: Retry = Retry.NEVER
