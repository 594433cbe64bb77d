"""The end of a runner version."""

from datetime import UTC, date, datetime
from typing import Any

import pytest

from entrypoint.errors import ExitCode, Failure
from entrypoint.github import deprecation
from tests.support import fakehub
from tests.support.fakehub import NOT_FOUND, REPOSITORY, Clock

URL = f"{REPOSITORY}/actions/runners/deprecations/2.300.0"
NOW = datetime(2026, 6, 1, tzinfo=UTC)


def answer(**days: str | None) -> dict[str, Any]:
    """Return GitHub's answer about a version."""
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
    """The warning has the first date after which the version is no longer good."""
    with fakehub.hub() as hub:
        hub.get(URL, json=answer(**days))
        said = deprecation.warning(fakehub.connect(), "2.300.0", NOW)
    assert "2.300.0" in said
    assert "2026-07-01" in said
    assert "30 days away" in said


def test_the_day_has_passed() -> None:
    """A version that GitHub no longer accepts ends with 7, and the error has the remedy."""
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
    """The runner starts if GitHub knows nothing about the version, or refuses."""
    with fakehub.hub() as hub:
        hub.get(URL, json=json, status=status)
        assert deprecation.warning(fakehub.connect(clock=Clock()), "2.300.0", NOW) == ""


def test_a_server_is_not_asked() -> None:
    """An Enterprise Server has no such list."""
    with fakehub.hub():
        api = fakehub.connect({"GITHUB_HOST": "ghe.example.com"})
        assert deprecation.warning(api, "2.300.0", NOW) == ""


def test_days_that_are_left() -> None:
    """Up to 30 days after its release no newer release can be 30 days old."""
    said, remedy = deprecation.age("2.300.0", "2026-05-20", NOW.date())
    assert said == "2.300.0 of 2026-05-20: GitHub gives it jobs until 2026-06-19 or longer, 18 days"
    assert remedy == ""


def test_last_day() -> None:
    """On the thirtieth day the version is still good."""
    assert "0 days" in deprecation.age("2.300.0", "2026-05-02", NOW.date())[0]
    assert deprecation.age("2.300.0", "2026-05-01", NOW.date())[1] != ""


def test_an_old_release() -> None:
    """Afterwards the next release's date decides; the advice is to rebuild the image."""
    said, remedy = deprecation.age("2.300.0", "2026-04-20", NOW.date())
    assert "perhaps since 12 days" in said
    assert "rebuild the image" in remedy


def test_a_release_of_an_unknown_day() -> None:
    """If the date of the release is unknown, only the version is given."""
    assert deprecation.age("2.300.0", "", date(2026, 6, 1)) == ("2.300.0", "")
