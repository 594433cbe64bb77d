"""Sends a request to GitHub's REST API, repeats it where that may help, and explains a refusal.

This is plain blocking code: it runs in a child of PID 1, and a stop kills that child.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests
from requests.auth import AuthBase
from urllib3.exceptions import NameResolutionError

from entrypoint import api_usage, log, redaction
from entrypoint.container import certificates
from entrypoint.errors import Failure
from entrypoint.github import retries
from entrypoint.github.answer import Answer, Refusal, Request, Retry, line, words
from entrypoint.github.first_request import Known, tell_request
from entrypoint.github.refusals import explain, refusal
from entrypoint.settings import proxies
from entrypoint.settings.credential import Kind
from entrypoint.settings.schema import Settings, environment
from entrypoint.settings.target import HEADERS, Target

_CONNECT_TIMEOUT, _READ_TIMEOUT = 10.0, 30.0  # seconds of one try
_SHORT_TRY = 2.0  # seconds that a try gets even if no time is left for another one
_LEAST = 0.1  # seconds that a try gets even at the deadline
_REDIRECTS = 3
_FRESH = 10.0  # seconds until all of GitHub's servers know a new token of an App

_POOL = re.compile(r"^\w+\(host='[^']*', port=\d+\): ")  # the beginning of urllib3's messages


class _Authorization(AuthBase):
    """Adds the credential to a request; with an empty value it adds nothing."""

    # This is not a header of the session, because requests would replace that by an entry of
    # ~/.netrc.
    def __init__(self, value: str) -> None:
        self._value = value

    def __call__(self, prepared: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._value:
            prepared.headers["Authorization"] = self._value
        return prepared


@dataclass(frozen=True)
class Client:
    """Access to one list of runners; `deadline` (time.monotonic()) is for all calls together."""

    target: Target
    kind: Kind
    credential_variable: str  # the variable that the credential came in
    deadline: float
    session: requests.Session = field(repr=False)
    token: str = field(default="", repr=False)  # if a registration token was given: that one
    fresh_until: float = 0.0  # time.monotonic(); until then a 401 may mean: the token is too new
    sleep: Callable[[float], None] = time.sleep
    now: Callable[[], float] = time.monotonic


@dataclass(frozen=True)
class Reply:
    """An answer that is not a refusal: `body` is the decoded JSON, or None if there is none."""

    status: int
    body: Any
    answer: Answer
    asked: Request

    def __getitem__(self, key: str) -> Any:
        """Return a field of the body. Raises a Failure if it is missing: GitHub would send it."""
        if isinstance(self.body, dict) and key in self.body:
            return self.body[key]
        raise self._foreign(key)

    def text(self, key: str) -> str:
        """Return a field that must be a text and not empty, such as a token. Raises a Failure."""
        value = self[key]
        if isinstance(value, str) and value:
            return value
        raise self._foreign(key)

    def _foreign(self, key: str) -> Failure:
        foreign = replace(self.answer, words=f"no {key!r} in the answer", is_github=False)
        return explain(foreign, self.asked)


def open_client(  # noqa: PLR0913 - each is a part of the credential
    settings: Settings,
    deadline: float,
    *,
    kind: Kind,
    credential_variable: str,
    token: str,
    scheme: str = "Bearer",
    fresh: bool = False,
) -> Client:
    """Return a Client with a new session; nothing is sent yet."""
    redaction.hide(token)
    session = requests.Session()
    session.headers.update(HEADERS)
    session.auth = _Authorization(f"{scheme} {token}" if token else "")
    session.verify = (
        certificates.bundle(settings.ca_file, settings.state_dir)
        or certificates.system_authorities()
        or True
    )
    session.trust_env = False  # or requests would use ALL_PROXY, which GitHub's runner ignores
    session.proxies = _proxies(settings.target.api_url)
    return Client(
        settings.target,
        kind,
        credential_variable,
        deadline,
        session,
        token=token if kind is Kind.REGISTRATION else "",
        fresh_until=time.monotonic() + _FRESH if fresh else 0.0,
    )


def _proxies(url: str) -> dict[str, str]:
    """Return the proxy for a URL in the form that requests takes; its password is redacted."""
    address = proxies.choose(environment(), url)
    redaction.hide(*redaction.passwords(address))
    return {url.partition("://")[0]: address} if address else {}


def until(api: Client, deadline: float) -> Client:
    """Return the same client with another deadline."""
    return replace(api, deadline=deadline)


def asked(api: Client, method: str, path: str) -> Request:
    """Return what a message may say about a request."""
    return Request(method, path, api.target, api.kind, api.credential_variable)


def probe(api: Client, path: str) -> Answer:
    """Send one GET, and return any answer, also a refusal."""
    return _try(api, "GET", path, None, None)[0]


def proxy(api: Client) -> str:
    """Return the proxy that requests go through, without its password; "" if there is none."""
    address = next(iter(api.session.proxies.values()), "")
    return proxies.shown(address) if address else ""


def request(  # noqa: PLR0913 - what a request is made of
    api: Client,
    method: str,
    path: str,
    *,
    body: Mapping[str, Any] | None = None,
    params: Mapping[str, str] | None = None,
    also: tuple[int, ...] = (),
    known: Known | None = None,
) -> Reply:
    """Send a request to a path below the API's root, and return the answer.

    Statuses in `also` are returned, as a success is. After any other status, or a failure on the
    way, the request is sent again if the table of refusals says so; otherwise a Failure is raised.
    So use this only for requests that may be repeated. `known` is the answer to the first try, if
    that was made already.
    """
    question = asked(api, method, path)
    attempt = 0
    while True:
        attempt += 1
        if known is not None and attempt == 1:
            answer, found = _understood(known.status, known.reason, known.headers, known.body)
        else:
            api_usage.count_request(again=attempt > 1)
            answer, found = _try(api, method, path, body, params)
            status = answer.status or answer.trouble
            left = round(api.deadline - api.now(), 1)
            tell_request(method, path, api.target.api_host, status, attempt, left)
        api_usage.note_limit(answer.header("x-ratelimit-remaining"))
        if answer.is_github and (200 <= answer.status < 300 or answer.status in also):
            return Reply(answer.status, found, answer, question)
        row = refusal(answer, question)
        pause = _pause(api, row, answer, attempt)
        given_up = "" if pause is None else _too_long(api, pause)
        if pause is None or given_up:
            raise explain(answer, question, attempt, given_up)
        # The likely cause is told once, at the first try: the last one may be a minute away.
        is_unreachable = answer.status == 0 and attempt == 1
        log.warning(
            "github.asked_again",
            f"GitHub is asked again in {pause:.1f} s",
            why=row.name,
            host=api.target.api_host,
            status=answer.status,
            hint=explain(answer, question).hint if is_unreachable else "",
        )
        api.sleep(pause)


def _pause(api: Client, row: Refusal, answer: Answer, attempt: int) -> float | None:
    """Return the seconds until the next try, or None if there is to be no other try."""
    if row.retry is Retry.LIMIT:
        return retries.limit(answer, attempt)
    if row.retry is Retry.BACKOFF or (row.retry is Retry.FRESH and api.now() < api.fresh_until):
        return retries.backoff(answer, attempt)
    return None


def _too_long(api: Client, pause: float) -> str:
    left = max(0.0, api.deadline - api.now())
    if pause < left:
        return ""
    return f"no further try: it would have to wait {pause:.0f} s, and {left:.0f} s are left"


def _try(
    api: Client,
    method: str,
    path: str,
    body: Mapping[str, Any] | None,
    params: Mapping[str, str] | None,
) -> tuple[Answer, Any]:
    url = api.target.api_url + path
    try:
        response = _send(api, method, url, json=body, params=params)
    except OSError as error:  # what requests raises, and a bundle that cannot be read
        return _trouble(error), None
    return _understood(
        response.status_code, response.reason, response.headers.items(), response.content
    )


def _understood(
    status: int, reason: str, headers: Iterable[tuple[str, str]], content: bytes
) -> tuple[Answer, Any]:
    """Return an answer, and its body as decoded JSON."""
    named = {name.lower(): value for name, value in headers}
    try:
        body = json.loads(content) if content else None
    except ValueError:
        return Answer(status, reason, named, is_github=False), None
    return Answer(status, words(body), named), body


def _patience(left: float) -> float:
    """Return the seconds for a try: half of what is left, so that there is time for another."""
    return max(_LEAST, min(left, max(left / 2, _SHORT_TRY)))


def _send(api: Client, method: str, url: str, **request: Any) -> requests.Response:
    """Send a request; redirects are followed, but only within the same server."""
    # requests itself would repeat a POST as a GET after a 301, so redirects are followed here.
    origin = urlsplit(url)[:2]
    for _ in range(_REDIRECTS + 1):
        patience = _patience(api.deadline - api.now())
        timeout = (min(_CONNECT_TIMEOUT, patience), min(_READ_TIMEOUT, patience))
        response = api.session.request(
            method, url, timeout=timeout, allow_redirects=False, **request
        )
        url = urljoin(url, response.headers.get("location", ""))
        if not response.is_redirect or urlsplit(url)[:2] != origin:
            break
    return response


def _trouble(error: OSError) -> Answer:
    """Return as an Answer what went wrong on the way, by the exception of requests."""
    root = _root(error)
    said = _POOL.sub("", line(str(root)))
    kind = _kind(error, root, said)
    # A library's message about a proxy may contain the proxy's address with its password. Keep only
    # the status by which the proxy refused, or the kernel's error.
    if kind.startswith("proxy"):
        status = re.search(r"\b[45]\d\d\b(?: [A-Za-z ]+)?", said)
        said = status[0] if status else getattr(root, "strerror", None) or ""
    return Answer(words=said, trouble=kind)


def _kind(error: OSError, root: BaseException, said: str) -> str:
    if "407" in said and isinstance(error, requests.exceptions.ProxyError):
        return "proxy login"
    if "CERTIFICATE_VERIFY_FAILED" in said:
        if "not yet valid" in said or "has expired" in said:
            return "clock"
        return "hostname" if "not valid for" in said else "tls"
    kinds = {
        requests.exceptions.ProxyError: "proxy",
        requests.exceptions.Timeout: "timeout",
        requests.exceptions.ConnectionError: "connection",
        requests.exceptions.ChunkedEncodingError: "connection",
        requests.exceptions.RequestException: "proxy address",
    }
    if isinstance(root, NameResolutionError):
        return "dns"
    return next((kind for cause, kind in kinds.items() if isinstance(error, cause)), "tls")


def _root(error: BaseException) -> BaseException:
    """Return the innermost exception that still tells the kind of trouble."""
    inner = getattr(error, "reason", None) or (error.args[0] if error.args else None)
    if isinstance(error, NameResolutionError) or not isinstance(inner, BaseException):
        return error
    return _root(inner)
