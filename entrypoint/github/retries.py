"""How long to wait before another try: as GitHub asks, or else growing pauses with jitter."""

from __future__ import annotations

import random
import time
from email.utils import parsedate_to_datetime

from entrypoint.github.answer import Answer

_BASE, _LONGEST = 1.0, 20.0  # seconds
_SECONDARY = 60.0  # seconds, doubled each time: GitHub's advice for an answer that names no time
_SPREAD = 0.1  # the largest random part that is added to a pause that all clients are told


def backoff(answer: Answer, attempt: int) -> float:
    """Return a pause after the given try (1, 2, ...): exponential, with full jitter.

    If the answer names a pause, as a 503 may, that pause is used instead.
    """
    if _retry_after(answer) is not None:
        return limit(answer, attempt)
    return random.uniform(0, min(_LONGEST, _BASE * 2 ** (attempt - 1)))  # noqa: S311 - no secret


def limit(answer: Answer, attempt: int) -> float:
    """Return how many seconds a rate limit asks to wait, plus a small random part.

    `x-ratelimit-reset` is compared with the answer's Date, because our clock may be wrong.
    """
    asked = _retry_after(answer)
    reset = answer.header("x-ratelimit-reset")
    if asked is None and answer.header("x-ratelimit-remaining") == "0" and _is_number(reset):
        # Both times are cut to whole seconds, so add one.
        asked = max(0.0, int(reset) - server_time(answer)) + 1
    if asked is None:
        asked = _SECONDARY * 2 ** (attempt - 1)
    return asked * (1 + random.uniform(0, _SPREAD))  # noqa: S311 - spreads, hides nothing


def _retry_after(answer: Answer) -> float | None:
    value = answer.header("retry-after")
    return float(value) if _is_number(value) else None


def server_time(answer: Answer) -> float:
    """Return the time in an answer's Date, or else our own, in seconds since 1970."""
    try:
        return parsedate_to_datetime(answer.header("date")).timestamp()
    except ValueError:
        return time.time()


def _is_number(value: str) -> bool:
    return value.isascii() and value.isdigit()
