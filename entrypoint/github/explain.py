"""One refusal as one Failure: what was asked, what GitHub said, what to do."""

from __future__ import annotations

import time
from typing import Any

from entrypoint.errors import Failure
from entrypoint.github.answer import Answer, Asked
from entrypoint.github.refusals import refusal
from entrypoint.settings.credential import needs

_MAX_WORDS = 300  # characters of a foreign text that one log line may hold
_MAX_ERRORS = 5


def explain(answer: Answer, asked: Asked, tries: int = 1, given_up: str = "") -> Failure:
    """Turn the last answer into the end of the program; `given_up` is why there is no next try."""
    row = refusal(answer, asked)
    came = f"{answer.status}{f' {answer.words!r}' if answer.words else ''}"
    request_id = answer.header("x-github-request-id")
    message = (
        f"{asked.method} {asked.path} at {asked.target.api_url}: "
        + (came if answer.status else f"{row.sign} ({answer.words})")
        + (f", x-github-request-id {request_id}" if request_id else "")
        + (f" (tried {tries} times)" if tries > 1 else "")
        + (f"; {given_up}" if given_up else "")
    )
    return Failure(row.code, message, row.remedy.format_map(_context(answer, asked)))


def _context(answer: Answer, asked: Asked) -> dict[str, str]:
    """Fill the placeholders of the remedies."""
    target = asked.target
    accepted = answer.header("x-accepted-github-permissions")
    return {
        "accepted": f" (GitHub asks for {accepted})" if accepted else "",
        "api": target.api_url,
        "granted": answer.header("x-oauth-scopes") or "no scope at all",
        "host": target.api_host,
        "kind": asked.kind,
        "name": target.name,
        "needs": needs(asked.kind, target.scope),
        "reset": _moment(answer.header("x-ratelimit-reset")),
        "scope": target.scope,
        "setting": asked.setting,
        "sso": answer.header("x-github-sso").partition("url=")[2] or "the token's settings",
    }


def _moment(epoch: str) -> str:
    """Say when the limit is over, in UTC."""
    if not (epoch.isascii() and epoch.isdigit()):
        return "within the hour"
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(min(int(epoch), 2**33)))


def words(body: Any) -> str:
    """Return what a refusal's JSON body says, on one line of bounded length."""
    if not isinstance(body, dict):
        return ""
    errors = body.get("errors") or []
    errors = errors if isinstance(errors, list) else [errors]
    texts = [_word(error) for error in errors[:_MAX_ERRORS]]
    said = ": ".join(filter(None, [str(body.get("message") or ""), ", ".join(texts)]))
    return line(said)


def line(said: str) -> str:
    """Make a foreign text fit for one line of a log."""
    flat = " ".join("".join(c if c.isprintable() else " " for c in said).split())
    return flat if len(flat) <= _MAX_WORDS else flat[: _MAX_WORDS - 1] + "…"


def _word(error: Any) -> str:
    """One entry of `errors`: a text, or an object with message, or resource, field and code."""
    if not isinstance(error, dict):
        return str(error)
    keys = ("resource", "field", "code")
    return str(error.get("message") or " ".join(str(error[k]) for k in keys if error.get(k)))
