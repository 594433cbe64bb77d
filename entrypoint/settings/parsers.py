"""How the value of a setting is read: each parser takes a text, or says what is wrong with it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from entrypoint.settings import target

MAX_LABEL = 256  # the runner's; one label over it and config.sh silently drops them all
_TRUE, _FALSE = {"1", "true", "yes", "on"}, {"0", "false", "no", "off"}
_QUOTES = ("'", '"')
_NAME_PART = re.compile(r"[A-Za-z0-9_.-]+")
_PEM = re.compile(
    r"-----BEGIN ([A-Z]+ )?PRIVATE KEY-----\n.+\n-----END ([A-Z]+ )?PRIVATE KEY-----", re.DOTALL
)

Parser = Callable[[str], Any]


class Problem(ValueError):
    """What is wrong with one value, said so that "VARIABLE: " can stand before it."""


def unquoted(value: str) -> str:
    """Return a value without white space and one pair of quotes around it.

    `docker run --env-file` and the lists of a compose file take quotes for a part of the value.
    """
    value = value.strip()
    if len(value) > 1 and value[0] == value[-1] and value[0] in _QUOTES:
        value = value[1:-1].strip()
    return value


def text(value: str) -> str:
    """Take any one line."""
    if not value.isprintable():
        raise Problem("has a line break or another control character in it")
    return value


def name(value: str) -> str:
    """Take the name of an owner, a repository or an enterprise, which is no URL and no path."""
    if not value:
        return value
    if "/" in value:
        raise Problem(f"{value!r} holds a slash; it takes the bare name, no URL and no path")
    if not _NAME_PART.fullmatch(value) or value in {".", ".."}:
        raise Problem(f"{value!r} is not a name on GitHub: letters, digits, '-', '_' and '.' only")
    return value


def flag(value: str) -> bool:
    """Take 1 or 0, true or false, yes or no, on or off."""
    if value.lower() in _TRUE | _FALSE:
        return value.lower() in _TRUE
    raise Problem(f"{value!r} is neither 1 nor 0 (true, false, yes, no, on and off do as well)")


def seconds(value: str) -> float:
    """Take a number of seconds, 0 or more."""
    try:
        number = float(value)
    except ValueError:
        number = -1.0
    if not 0 <= number < 10**9:
        raise Problem(f"{value!r} is not a number of seconds, 0 or more")
    return number


def count(value: str) -> int:
    """Take a whole number, 0 or more."""
    if not (value.isascii() and value.isdigit()):
        raise Problem(f"{value!r} is not a whole number, 0 or more")
    return int(value)


def day(value: str) -> str:
    """Take a day as ISO 8601 writes it."""
    from datetime import date  # rare, and 1 ms of each start

    try:
        return date.fromisoformat(value).isoformat()
    except ValueError:
        raise Problem(f"{value!r} is not a day such as 2026-01-31") from None


def path(value: str) -> str:
    """Take an absolute path."""
    if not value.startswith("/"):
        raise Problem(f"{value!r} is not an absolute path")
    return value


def url(value: str) -> str:
    """Take an http or https URL; a slash at its end is cut, since GitHub answers 404 to it."""
    if value and not re.fullmatch(r"https?://[^\s/@]+(/[^\s?#@]*)?", value):
        raise Problem("is not a URL of the form https://HOST[/PATH] (and may hold no password)")
    return value.rstrip("/")


def host(value: str) -> str:
    """Take a host name, with a port if need be."""
    if not re.fullmatch(r"[A-Za-z0-9.-]+(:\d+)?", value):
        raise Problem(f"{value!r} is not a host name; it takes github.com, without https://")
    bare = value.lower().removeprefix("www.")
    if bare.startswith("api.") and target.is_hosted(bare.removeprefix("api.")):
        raise Problem(f"{value!r} is the host of the API; it takes {bare.removeprefix('api.')}")
    return bare


def labels(value: str) -> tuple[str, ...]:
    """Take labels divided by commas; spaces around them and empty ones are dropped."""
    found = tuple(label.strip() for label in value.split(",") if label.strip())
    for label in found:
        if len(label) > MAX_LABEL:
            raise Problem(f"a label has {len(label)} characters, more than {MAX_LABEL}")
        if not label.isprintable():
            raise Problem(f"the label {label!r} has a control character in it")
    return tuple(dict.fromkeys(found))


def choice(*allowed: str) -> Parser:
    """Make a parser that takes one of a few words."""

    def parse(value: str) -> str:
        if value.lower() not in allowed:
            raise Problem(f"{value!r} is not one of {', '.join(allowed)}")
        return value.lower()

    return parse


def optional(parse: Parser) -> Parser:
    """Make a parser that takes nothing as well, as an empty string."""
    return lambda value: parse(value) if value else ""


def page(value: str) -> str:
    """Take the URL of the page of a repository, an organization or an enterprise."""
    address = url(value)
    try:
        found = target.names(_split(address)[1])
    except ValueError:
        raise Problem(
            f"{value!r} is not the page of a repository, an organization or an enterprise, as in"
            " https://github.com/acme/shop, https://github.com/acme,"
            " https://github.com/enterprises/acme"
        ) from None
    for part in found:
        name(part)
    host(_split(address)[0])
    return address


def _split(address: str) -> tuple[str, str]:
    """Return host and path of a URL."""
    host, _, path = address.partition("://")[2].partition("/")
    return host, path


def private_key(value: str) -> str:
    r"""Take a PEM private key as it is, with \n for line breaks, or in base64; return the PEM."""
    key = value.strip()
    if "-----BEGIN" not in key:
        import base64  # rare, and 1 ms of each start

        try:
            key = base64.b64decode("".join(key.split()), validate=True).decode().strip()
        except ValueError:
            raise Problem("is neither a PEM private key nor one in base64") from None
    key = key.replace("\\r", "").replace("\\n", "\n").replace("\r", "").strip()
    if not _PEM.fullmatch(key):
        raise Problem("is not a whole private key in PEM form, -----BEGIN to -----END")
    return key + "\n"
