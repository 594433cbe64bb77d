"""When GitHub stops accepting this version of the runner."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from urllib.parse import quote

from entrypoint import log
from entrypoint.errors import ExitCode, Failure
from entrypoint.github import client
from entrypoint.github.client import Client
from entrypoint.settings.target import is_hosted

GRACE = timedelta(days=30)  # how long GitHub accepts a runner after the release of a newer one
_REMEDY = "pull or rebuild the image: a build takes the newest runner"


def warning(api: Client, version: str, now: datetime | None = None) -> str:
    """Return a warning about the last day of the runner's version; "" if that day is not known.

    Raises a Failure (7) once the day has passed. Any other failure is logged at debug level only,
    because the runner can start without this answer.
    """
    if not is_hosted(api.target.host):
        return ""
    day = _last_day(api, version)
    if day is None:
        return ""
    said = f"GitHub accepts version {version} of the runner until {day:%Y-%m-%d %H:%M} UTC"
    left = day - (now or datetime.now(UTC))
    if left <= timedelta():
        raise Failure(ExitCode.VERSION, said, _REMEDY)
    return f"{said}, which is {left.days} days away: {_REMEDY}"


def age(version: str, released: str, today: date | None = None) -> tuple[str, str]:
    """Return what the day of its release tells about a version, and a remedy if it may be too old.

    GitHub gives no jobs to a runner that has not been updated within 30 days of a newer release
    (https://docs.github.com/en/actions/reference/runners/self-hosted-runners). The day of the newer
    release is not known here, but it is later than the day of this one.
    """
    if not released:
        return version, ""
    since = date.fromisoformat(released)
    last = since + GRACE
    left = (last - (today or datetime.now(UTC).date())).days
    if left >= 0:
        return f"{version} of {since}: GitHub gives it jobs until {last} or longer, {left} days", ""
    said = (
        f"{version} of {since}: GitHub gives it no jobs {GRACE.days} days after the release of a"
        f" newer one, perhaps since {-left} days"
    )
    return said, _REMEDY


def _last_day(api: Client, version: str) -> datetime | None:
    """Return the last day of a version; None if GitHub does not tell."""
    # GitHub may refuse registrations earlier than jobs. Every start registers, so take the first.
    path = f"{api.target.path}/actions/runners/deprecations/{quote(version, safe='')}"
    keys = ("registration_deprecates_at", "runtime_deprecates_at")
    try:
        body = client.request(api, "GET", path, also=(404,)).body
        return min((_moment(body[key]) for key in keys if body.get(key)), default=None)
    except (Failure, ValueError, TypeError, AttributeError) as error:
        log.debug("github.unasked", "no word on the runner's version", why=str(error))
        return None


def _moment(value: str) -> datetime:
    moment = datetime.fromisoformat(value)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
