"""The end of a runner version."""

from datetime import UTC, datetime
from typing import Any

import pytest

from entrypoint.errors import ExitCode, Failure
from entrypoint.github import deprecation
from tests.support import fakehub
from tests.support.fakehub import NOT_FOUND, PLACES, REPOSITORY, Clock

URL = f"{REPOSITORY}/actions/runners/deprecations/2.300.0"
NOW = datetime(2026, 6, 1, tzinfo=UTC)
HOSTED = {name: place for name, place in PLACES.items() if "server" not in name}


def answer(**days: str | None) -> dict[str, Any]:
    """What GitHub knows of a version."""
    return {"runner_version": "2.300.0", **days}


@pytest.mark.parametrize(
    "days",
    [
        {"registration_deprecates_at": "2026-07-01T00:00:00Z", "runtime_deprecates_at": None},
        {
            "registration_deprecates_at": "2026-08-01T00:00:00Z",
            "runtime_deprecates_at": "2026-07-01T00:00:00Z",
        },
    ],
)
def test_the_day_is_told(days: dict[str, str | None]) -> None:
    """The first day that matters is told while it is still to come."""
    with fakehub.hub() as hub:
        hub.get(URL, json=answer(**days))
        said = deprecation.warning(fakehub.connect(), "2.300.0", NOW)
    assert "2.300.0" in said
    assert "2026-07-01" in said


def test_the_day_has_passed() -> None:
    """A version that GitHub no longer accepts ends with 7 and says what to do."""
    with fakehub.hub() as hub:
        hub.get(URL, json=answer(registration_deprecates_at="2026-05-01T00:00:00Z"))
        with pytest.raises(Failure) as failure:
            deprecation.warning(fakehub.connect(), "2.300.0", NOW)
    assert failure.value.code is ExitCode.VERSION
    assert "rebuild the image" in failure.value.hint


@pytest.mark.parametrize(
    ("json", "status"),
    [
        (answer(), 200),
        (NOT_FOUND, 404),
        ({"message": "Server Error"}, 500),
        ({"message": "No"}, 403),
    ],
)
def test_no_word_is_no_reason_to_stop(json: dict[str, Any], status: int) -> None:
    """Where GitHub knows nothing, or refuses, the runner starts all the same."""
    with fakehub.hub() as hub:
        hub.get(URL, json=json, status=status)
        assert deprecation.warning(fakehub.connect(clock=Clock()), "2.300.0", NOW) == ""


def test_a_server_is_not_asked() -> None:
    """An Enterprise Server has no such list."""
    with fakehub.hub():
        api = fakehub.connect({"GITHUB_HOST": "ghe.example.com"})
        assert deprecation.warning(api, "2.300.0", NOW) == ""
