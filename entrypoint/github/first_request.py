"""The one request of an ordinary start, made without requests, which takes 70 ms to load.

http.client takes 20. It is used in the plain case only: a personal access token, no proxy, and
the system's own authorities. An answer that is no token goes to rest.py, which knows what to make
of it; without any answer rest.py asks anew.
"""

from __future__ import annotations

import json
import os
import ssl
import time
from collections.abc import Mapping
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import NamedTuple
from urllib.parse import urlsplit

from entrypoint import figures, redaction
from entrypoint.container import certificates
from entrypoint.settings import credential
from entrypoint.settings.credential import Kind
from entrypoint.settings.schema import Settings
from entrypoint.settings.target import HEADERS

_CONNECT_TIMEOUT, _READ_TIMEOUT = 10.0, 30.0  # seconds
_LARGEST = 1 << 20  # bytes of an answer
_BUNDLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


class Known(NamedTuple):
    """An answer that has come already: to a request of this method to this URL."""

    method: str
    url: str
    status: int
    reason: str
    headers: list[tuple[str, str]]
    body: bytes

    @property
    def token(self) -> str:
        """The token that GitHub has given; empty if this is any other answer."""
        try:
            token = json.loads(self.body)["token"] if self.status == 201 else ""
        except (ValueError, TypeError, LookupError):
            return ""
        return token if isinstance(token, str) else ""


def ask(
    settings: Settings, secrets: Mapping[str, str], environ: Mapping[str, str], deadline: float
) -> Known | None:
    """Ask for a registration token, once; None if this is no plain case, or nobody answers."""
    setting, kind = credential.identify(secrets)
    if kind in (Kind.APP, Kind.REGISTRATION) or not _is_plain(settings, environ):
        return None
    redaction.hide(secrets[setting])
    target = settings.target
    url = f"{target.api_url}{target.path}/actions/runners/registration-token"
    headers = {**HEADERS, "Authorization": f"Bearer {secrets[setting]}", "Content-Length": "0"}
    figures.request()
    try:
        return _post(url, headers, deadline)
    except (OSError, HTTPException, ValueError):
        return None


def _is_plain(settings: Settings, environ: Mapping[str, str]) -> bool:
    """Whether nothing but the URL says how GitHub is reached and trusted."""
    proxies = (name for name in environ if name.lower().endswith("_proxy") and environ[name])
    through_proxy = any(name.lower() != "no_proxy" for name in proxies)
    trust = settings.ca_file or any(environ.get(name) for name in _BUNDLES)
    return not (through_proxy or trust)


def _post(url: str, headers: Mapping[str, str], deadline: float) -> Known:
    connection = _connection(url)
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


def _connection(url: str) -> HTTPConnection:
    parts = urlsplit(url)
    if parts.scheme == "http":
        return HTTPConnection(parts.netloc)
    trusted = certificates.system_authorities()
    if not trusted:
        raise ValueError("the system has no authorities")
    if os.path.isdir(trusted):
        context = ssl.create_default_context(capath=trusted)
    else:
        context = ssl.create_default_context(cafile=trusted)
    return HTTPSConnection(parts.netloc, context=context)


def _left(deadline: float) -> float:
    return max(0.1, deadline - time.monotonic())
