"""The one request of an ordinary start, made by http.client instead of the library requests.

http.client takes 20 ms to load, requests 70. This request goes straight to GitHub or through a
proxy's tunnel, and trusts the same authorities as client.py. If the answer is not a token,
client.py gets it and decides what it means. If there is no answer, client.py asks again. Starts
that are not ordinary begin with client.py: those with a GitHub App, with a proxy that takes TLS
itself, or with a proxy for a GitHub without TLS.
"""

from __future__ import annotations

import json
import time
from binascii import b2a_base64
from collections.abc import Mapping
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from entrypoint import api_usage, log, redaction
from entrypoint.container import certificates
from entrypoint.settings import credential, proxies
from entrypoint.settings.credential import Kind
from entrypoint.settings.schema import Settings
from entrypoint.settings.target import HEADERS

_CONNECT_TIMEOUT, _READ_TIMEOUT = 10.0, 30.0  # seconds
_LARGEST = 1 << 20  # bytes of an answer


class Known(NamedTuple):
    """The answer to a request that was made before, with that request's method and URL."""

    method: str
    url: str
    status: int
    reason: str
    headers: list[tuple[str, str]]
    body: bytes

    @property
    def token(self) -> str:
        """The token in the answer; empty if the answer is not a token."""
        try:
            token = json.loads(self.body)["token"] if self.status == 201 else ""
        except (ValueError, TypeError, LookupError):
            return ""
        return token if isinstance(token, str) else ""


def ask(
    settings: Settings, secrets: Mapping[str, str], environ: Mapping[str, str], deadline: float
) -> Known | None:
    """Ask once for a registration token; None if client.py must ask, or if there is no answer.

    `deadline` is a moment of time.monotonic().
    """
    setting, kind = credential.identify(secrets)
    target = settings.target
    url = f"{target.api_url}{target.path}/actions/runners/registration-token"
    proxy = proxies.choose(environ, url)
    if kind in (Kind.APP, Kind.REGISTRATION) or not _is_ordinary(url, proxy):
        log.debug("life.decision", "the library requests is loaded: the start is not ordinary")
        return None
    redaction.hide(secrets[setting], *redaction.passwords(proxy))
    headers = {**HEADERS, "Authorization": f"Bearer {secrets[setting]}", "Content-Length": "0"}
    api_usage.count_request()
    answer, status = None, ""
    try:
        answer = _post(_connection(url, proxy, settings.ca_file), url, headers, deadline)
    except (OSError, HTTPException, ValueError) as error:
        status = f"no answer: {error}"
    if answer is not None:
        named = {name.lower(): value for name, value in answer.headers}
        api_usage.note_limit(named.get("x-ratelimit-remaining", ""))
    path, left = urlsplit(url).path, round(deadline - time.monotonic(), 1)
    tell_request("POST", path, target.api_host, answer.status if answer else status, 1, left)
    return answer


def tell_request(
    method: str, path: str, host: str, status: int | str, attempt: int, seconds_left: float
) -> None:
    """Log at debug level a request that GitHub has answered, or why there is no answer."""
    log.debug(
        "github.request",
        f"{method} {path}: {status}",
        host=host,
        method=method,
        path=path,
        status=status,
        attempt=attempt,
        seconds_left=seconds_left,
    )


def _is_ordinary(url: str, proxy: str) -> bool:
    """Whether there is no proxy, or one that http.client's tunnel can go through."""
    return not proxy or (proxy.startswith("http://") and url.startswith("https://"))


def _post(
    connection: HTTPConnection, url: str, headers: Mapping[str, str], deadline: float
) -> Known:
    try:
        connection.timeout = min(_CONNECT_TIMEOUT, _left(deadline))
        connection.connect()
        connection.sock.settimeout(min(_READ_TIMEOUT, _left(deadline)))
        connection.request("POST", urlsplit(url).path, headers=dict(headers))
        answer = connection.getresponse()
        body = answer.read(_LARGEST)
        return Known("POST", url, answer.status, answer.reason, answer.getheaders(), body)
    finally:
        connection.close()


def _connection(url: str, proxy: str, ca_file: str) -> HTTPConnection:
    parts = urlsplit(url)
    if parts.scheme == "http":
        return HTTPConnection(parts.netloc)
    context = certificates.context(ca_file)
    if not proxy:
        return HTTPSConnection(parts.netloc, context=context)
    way = urlsplit(proxy)
    connection = HTTPSConnection(way.hostname or "", way.port or 80, context=context)
    connection.set_tunnel(parts.netloc, headers=_login(way.username, way.password))
    return connection


def _login(name: str | None, password: str | None) -> dict[str, str]:
    """Return the header by which a proxy knows a user; what it holds is percent-encoded."""
    if not name:
        return {}
    known = f"{unquote(name)}:{unquote(password or '')}".encode("latin-1")
    return {"Proxy-Authorization": f"Basic {b2a_base64(known, newline=False).decode()}"}


def _left(deadline: float) -> float:
    return max(0.1, deadline - time.monotonic())
