"""The pauses of the client between two tries."""

import time
from collections.abc import Callable

import pytest

from entrypoint.github import retries
from entrypoint.github.answer import Answer

MANY = range(200)


def test_backoff_grows_and_is_spread() -> None:
    """A pause is anything up to a bound that doubles from 1 s to 20 s."""
    for attempt, most in {1: 1, 2: 2, 3: 4, 5: 16, 6: 20, 60: 20}.items():
        pauses = [retries.backoff(Answer(500), attempt) for _ in MANY]
        assert 0 <= min(pauses) < most / 4
        assert most / 2 < max(pauses) <= most


@pytest.mark.parametrize("pause", [retries.backoff, retries.limit])
def test_retry_after_is_never_cut(pause: Callable[[Answer, int], float]) -> None:
    """A pause that GitHub asks for is kept, and differs from client to client."""
    answer = Answer(503, headers={"retry-after": "30"})
    pauses = {pause(answer, 1) for _ in MANY}
    assert min(pauses) >= 30
    assert max(pauses) <= 33
    assert len(pauses) > 10


def test_reset_is_compared_with_the_servers_clock() -> None:
    """The reset of the primary limit is measured by GitHub's clock."""
    headers = {
        "x-ratelimit-remaining": "0",
        "x-ratelimit-reset": "1000000030",
        "date": "Sun, 09 Sep 2001 01:46:40 GMT",
    }
    pauses = [retries.limit(Answer(403, headers=headers), 1) for _ in MANY]
    assert 31 <= min(pauses) <= max(pauses) <= 31 * 1.1


def test_reset_without_a_date() -> None:
    """If the answer has no date, the container's clock is used."""
    reset = str(int(time.time()) + 100)
    headers = {"x-ratelimit-remaining": "0", "x-ratelimit-reset": reset}
    assert 98 < retries.limit(Answer(403, headers=headers), 1) < 115


def test_secondary_limit_without_a_time() -> None:
    """A secondary limit without a time is waited for one minute, then two, then four."""
    for attempt, least in {1: 60, 2: 120, 3: 240}.items():
        assert least <= retries.limit(Answer(429), attempt) <= least * 1.1
