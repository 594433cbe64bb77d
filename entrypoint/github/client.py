"""One request to GitHub's REST API: sent, tried again where that may help, or explained.

Plain blocking code: it runs in a child of PID 1, and a stop kills that child.
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

from entrypoint import figures, log, redaction
from entrypoint.container import certificates
from entrypoint.errors import Failure
from entrypoint.github import retries
from entrypoint.github.answer import Answer, Refusal, Request, Retry, line, words
from entrypoint.github.first_request import Known
from entrypoint.github.refusals import explain, refusal
from entrypoint.settings import proxies
from entrypoint.settings.credential import Kind
from entrypoint.settings.schema import Settings, environment
from entrypoint.settings.target import HEADERS, Target

_CONNECT_TIMEOUT, _READ_TIMEOUT = 10.0, 30.0  # seconds of one try
_SHORT_TRY = 2.0  # seconds that a try gets even if nothing remains for another one
_LEAST = 0.1  # seconds that even a try at the deadline gets
_REDIRECTS = 3
_FRESH = 10.0  # seconds in which some of GitHub's servers do not yet know a new App token

_POOL = re.compile(r"^\w+\(host='[^']*', port=\d+\): ")  # urllib3 starts its messages so


class _Authorization(AuthBase):
    """The credential; a session's header would be replaced by what ~/.netrc says.

    An empty one sends none.
    """

    def __init__(self, value: str) -> None:
        self._value = value

    def __call__(self, prepared: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._value:
            prepared.headers["Authorization"] = self._value
        return prepared


@dataclass(frozen=True)
class Client:
    """A way to one list of runners, until a moment of time.monotonic() for all calls together."""

    target: Target
    kind: Kind
    credential_variable: str  # the variable that the credential came in
    deadline: float
    session: requests.Session = field(repr=False)
    token: str = field(default="", repr=False)  # a registration token, which is passed on
    fresh_until: float = 0.0  # until then a 401 may only mean that the token is new
    sleep: Callable[[float], None] = time.sleep
    now: Callable[[], float] = time.monotonic


@dataclass(frozen=True)
class Reply:
    """An answer that is no refusal: `body` is the decoded JSON, None without one."""

    status: int
    body: Any
    answer: Answer
    asked: Request

    def __getitem__(self, key: str) -> Any:
        """Return a field of the body; a Failure if it has none, as GitHub's answers do."""
        if isinstance(self.body, dict) and key in self.body:
            return self.body[key]
        raise self._foreign(key)

    def text(self, key: str) -> str:
        """Return a field that is text and not empty, such as a token; a Failure otherwise."""
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
    """Return an Client with a session of its own; nothing is sent yet."""
    redaction.hide(token)
    session = requests.Session()
    session.headers.update(HEADERS)
    session.auth = _Authorization(f"{scheme} {token}" if token else "")
    session.verify = (
        certificates.bundle(settings.ca_file, settings.state_dir)
        or certificates.system_authorities()
        or True
    )
    session.trust_env = False  # else ALL_PROXY would count, which the runner passes over
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
    """Return what requests takes as the proxy for a URL, whose password is hidden from now on."""
    address = proxies.choose(environment(), url)
    redaction.hide(*redaction.passwords(address))
    return {url.partition("://")[0]: address} if address else {}


def until(api: Client, deadline: float) -> Client:
    """Return the same way to GitHub with another deadline."""
    return replace(api, deadline=deadline)


def asked(api: Client, method: str, path: str) -> Request:
    """Return a request as messages tell it."""
    return Request(method, path, api.target, api.kind, api.credential_variable)


def probe(api: Client, path: str) -> Answer:
    """Send one GET, and return whatever comes back."""
    return _try(api, "GET", path, None, None)[0]


def proxy(api: Client) -> str:
    """Return the proxy that requests go through, without its password, or an empty string."""
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

    Statuses that are named in `also` are returned as any success; all others, and troubles on
    the way, are tried again where the table of refusals says so, or raised as a Failure.
    So only a request that may be repeated goes through here. `known` is the answer to its first
    try, where that has been made already.
    """
    question = asked(api, method, path)
    attempt = 0
    while True:
        attempt += 1
        if known is not None and attempt == 1:
            answer, found = _understood(known.status, known.reason, known.headers, known.body)
        else:
            figures.request(again=attempt > 1)
            answer, found = _try(api, method, path, body, params)
        figures.limit(answer.header("x-ratelimit-remaining"))
        if answer.is_github and (200 <= answer.status < 300 or answer.status in also):
            return Reply(answer.status, found, answer, question)
        row = refusal(answer, question)
        pause = _pause(api, row, answer, attempt)
        given_up = "" if pause is None else _too_long(api, pause)
        if pause is None or given_up:
            raise explain(answer, question, attempt, given_up)
        log.warning(
            "github.asked_again",
            "GitHub is asked again",
            why=row.name,
            status=answer.status,
            seconds=round(pause, 1),
        )
        api.sleep(pause)


def _pause(api: Client, row: Refusal, answer: Answer, attempt: int) -> float | None:
    """Return the seconds until the next try, or None if there shall be none."""
    if row.retry is Retry.LIMIT:
        return retries.limit(answer, attempt)
    if row.retry is Retry.BACKOFF or (row.retry is Retry.FRESH and api.now() < api.fresh_until):
        return retries.backoff(answer, attempt)
    return None


def _too_long(api: Client, pause: float) -> str:
    left = max(0.0, api.deadline - api.now())
    if pause < left:
        return ""
    return f"the next try would be in {pause:.0f} s, and {left:.0f} s are left"


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
    """Return an answer, and the decoded JSON of its body."""
    named = {name.lower(): value for name, value in headers}
    try:
        body = json.loads(content) if content else None
    except ValueError:
        return Answer(status, reason, named, is_github=False), None
    return Answer(status, words(body), named), body


def _patience(left: float) -> float:
    """Return the seconds of a try: half of what is left, so that one that hangs is no end."""
    return max(_LEAST, min(left, max(left / 2, _SHORT_TRY)))


def _send(api: Client, method: str, url: str, **request: Any) -> requests.Response:
    """Send; redirects are followed within the same server only, and keep the method.

    requests itself would turn a POST that is redirected with 301 into a GET.
    """
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
    """Say by requests' exception what went wrong on the way.

    What a library says of a proxy may hold its address, with a password or a part of it: of that
    no more is told than the status by which the proxy refused, or the kernel's word.
    """
    root = _root(error)
    said = _POOL.sub("", line(str(root)))
    kind = _kind(error, root, said)
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
    """Return the first cause that still says which kind of trouble it is."""
    inner = getattr(error, "reason", None) or (error.args[0] if error.args else None)
    if isinstance(error, NameResolutionError) or not isinstance(inner, BaseException):
        return error
    return _root(inner)
