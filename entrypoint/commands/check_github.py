"""The checks of the network and of GitHub by `gh-runner check`; no runner is registered."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import TypeVar

from entrypoint.commands import finding
from entrypoint.commands.finding import Finding
from entrypoint.errors import ExitCode, Failure
from entrypoint.github import client, deprecation, jit, retries, runners
from entrypoint.github.answer import Answer
from entrypoint.github.client import Client
from entrypoint.github.refusals import explain
from entrypoint.settings import credential
from entrypoint.settings.credential import Kind
from entrypoint.settings.schema import Settings

_PATIENCE = 15.0  # seconds that all requests together may take
_SKEW = 30.0  # seconds by which a clock may be wrong
_SOON = 7  # days until a token expires that cause a warning
_EXPIRY = "github-authentication-token-expiration"
_META = "/meta"

Result = TypeVar("Result")


def ask(settings: Settings, secrets: Mapping[str, str]) -> Iterator[Finding]:
    """Yield the findings; the first check that fails is the last, because the next ones need it."""
    deadline = time.monotonic() + min(_PATIENCE, settings.github_timeout)
    setting, kind = credential.identify(secrets)
    try:
        stranger = _as_check(
            "connection",
            lambda: client.open_client(
                settings, deadline, kind=kind, credential_variable=setting, token=""
            ),
        )
        yield from _way(stranger)
        answer = _first_answer(stranger)
        yield finding.fine("connection", f"{settings.target.api_url} answers: {answer.status}")
        yield _clock(answer, kind)
        yield from _access(settings, secrets, deadline)
    except _Wrong as wrong:
        yield finding.wrong(wrong.check, wrong.failure)


class _Wrong(Exception):
    """A finding that ends the checks."""

    def __init__(self, check: str, failure: Failure) -> None:
        super().__init__(check)
        self.check, self.failure = check, failure


def _as_check(check: str, question: Callable[[], Result]) -> Result:
    try:
        return question()
    except Failure as failure:
        raise _Wrong(check, failure) from None


def _way(api: Client) -> Iterator[Finding]:
    """Name the proxy; without a proxy, look up the name of the API's host."""
    if proxy := client.proxy(api):
        yield finding.fine("proxy", proxy)
        return
    host = api.target.api_host.partition(":")[0]
    try:
        addresses = {str(entry[4][0]) for entry in socket.getaddrinfo(host, 443)}
    except OSError as error:
        trouble = Answer(words=str(error.strerror), trouble="dns")
        asked = client.asked(api, "GET", _META)
        raise _Wrong("name", explain(trouble, asked)) from None
    yield finding.fine("name", f"{host} is {', '.join(sorted(addresses))}")


def _first_answer(api: Client) -> Answer:
    """Return the API's answer to a request without credential: any status of GitHub's is fine."""
    answer = client.probe(api, _META)
    if answer.status == 0 or not answer.is_github:
        raise _Wrong("connection", explain(answer, client.asked(api, "GET", _META)))
    return answer


def _clock(answer: Answer, kind: Kind) -> Finding:
    skew = time.time() - retries.server_time(answer)
    said = f"{abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} the server's"
    if abs(skew) <= _SKEW:
        return finding.fine("clock", said)
    remedy = "set the clock of this machine: an App's requests are refused after a minute"
    if kind is Kind.APP:
        return finding.wrong("clock", Failure(ExitCode.REFUSED, said, remedy))
    return finding.warning("clock", said, remedy)


def _access(settings: Settings, secrets: Mapping[str, str], deadline: float) -> Iterator[Finding]:
    """Check that the credential may do all that a registration needs."""
    api = _as_check("credential", lambda: runners.connect(settings, secrets, deadline))
    yield from _credential(api)
    if api.kind is not Kind.REGISTRATION:
        _as_check("permissions", lambda: runners.registration_token(api))
        yield finding.fine("permissions", f"may register runners of {settings.target}")
    number = _as_check("group", lambda: jit.group_id(api, settings.group))
    yield finding.fine("group", f"{settings.group or 'the default group'} (id {number})")
    yield finding.fine("labels", ", ".join(jit.labels(settings)))
    yield from _version(api, settings)


def _credential(api: Client) -> Iterator[Finding]:
    """Read the list of runners, which needs most of the permissions and changes nothing."""
    total, expires = _as_check("credential", lambda: _list(api))
    said = f"{api.kind} in {api.credential_variable}; {total} runners on the list"
    expiry = _moment(expires)
    days = None if expiry is None else (expiry - datetime.now(UTC)).days
    if days is None or days >= _SOON:
        yield finding.fine("credential", said)
    else:
        yield finding.warning("credential", f"{said}; it expires {expiry}", "make a new one soon")


def _list(api: Client) -> tuple[int, str]:
    """Return the number of runners, and when the token expires ("" for never)."""
    reply = runners.first_page(api)
    return reply["total_count"], reply.answer.header(_EXPIRY)


def _moment(value: str) -> datetime | None:
    """Return a moment that GitHub writes as 2026-01-31 12:00:00 UTC; None for other texts."""
    try:
        return datetime.strptime(value, "%Y-%m-%d %H:%M:%S %Z").replace(tzinfo=UTC)
    except ValueError:
        return None


def _version(api: Client, settings: Settings) -> Iterator[Finding]:
    if not settings.version:
        return
    said = _as_check("version", lambda: deprecation.warning(api, settings.version))
    if said:
        yield finding.warning("version", said)
        return
    said, remedy = deprecation.age(settings.version, settings.released)
    yield finding.warning("version", said, remedy) if remedy else finding.fine("version", said)
