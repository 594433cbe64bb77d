"""What an exception of requests means: which trouble there was before GitHub could answer."""

from __future__ import annotations

import re

import requests
from urllib3.exceptions import NameResolutionError

from entrypoint.github.answer import Answer
from entrypoint.github.explain import line

_POOL = re.compile(r"^\w+\(host='[^']*', port=\d+\): ")  # urllib3 starts its messages so


def trouble(error: OSError) -> Answer:
    """Say by requests' exception what went wrong on the way."""
    root = _root(error)
    said = _POOL.sub("", line(str(root)))
    return Answer(words=said, trouble=_kind(error, root, said))


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
