"""Parsers for the values of settings: each returns the value of a text, or raises a Problem."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from entrypoint.redaction import shown
from entrypoint.settings import target

MAX_LABEL = 256  # characters; if one label is longer, config.sh drops all labels without a word
_TRUE, _FALSE = {"1", "true", "yes", "on"}, {"0", "false", "no", "off"}
_QUOTES = ("'", '"')
_LONGEST_NAME, _LONGEST_PART = 253, 63  # characters
_PORTS = {"http": ":80", "https": ":443"}
_PORT = re.compile(r":(\d+)$")
_HIGHEST_PORT = 65535
_ROOT_DOT = re.compile(r"\.(?=:\d+$|$)")  # at the end of an absolute name (RFC 1034)
_NAME_PART = re.compile(r"[A-Za-z0-9_.-]+")
_PEM = re.compile(
    r"(-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----)(.+)(-----END (?:[A-Z]+ )?PRIVATE KEY-----)",
    re.DOTALL,
)
_PEM_LINE = 64  # characters (RFC 7468)

Parser = Callable[[str], Any]


class Problem(ValueError):
    """What is wrong with one value, worded so that it can follow "VARIABLE: "."""


def unquoted(value: str) -> str:
    """Return a value without the white space and the one pair of quotes that surround it.

    `docker run --env-file` and the lists of a compose file keep such quotes as a part of the value.
    """
    value = value.strip()
    quote = value[:1]
    # Two only: in "a","b" the first quote and the last do not belong together.
    if quote in _QUOTES and value.count(quote) == 2 and value.endswith(quote):
        value = value[1:-1].strip()
    return value


def text(value: str) -> str:
    """Take any text of one line."""
    if not value.isprintable():
        raise Problem("has a line break or another control character in it")
    return value


def name(value: str) -> str:
    """Take the name of an owner, a repository or an enterprise, without a URL or path around it."""
    if not value:
        return value
    if "/" in value:
        raise Problem(f"{shown(value)} holds a slash; it takes the bare name, no URL and no path")
    if not _NAME_PART.fullmatch(value) or value in {".", ".."}:
        raise Problem(
            f"{shown(value)} is not a name on GitHub: letters, digits, '-', '_' and '.' only"
        )
    return value


def repository(value: str) -> str:
    """Take the name of a repository; an owner in front is kept, and .git at the end is cut."""
    if "://" in value or "@" in value:
        raise Problem(f"{shown(value)} is a URL, which goes into GITHUB_URL; it takes the name")
    owner, slash, bare = value.rpartition("/")
    bare = bare.removesuffix(".git")
    if value and not (bare and (owner or not slash)):
        raise Problem(f"{shown(value)} names no repository")
    return f"{name(owner)}{slash}{name(bare)}"


def flag(value: str) -> bool:
    """Take 1 or 0, true or false, yes or no, on or off."""
    if value.lower() in _TRUE | _FALSE:
        return value.lower() in _TRUE
    raise Problem(
        f"{shown(value)} is neither 1 nor 0 (true, false, yes, no, on and off do as well)"
    )


def some_seconds(value: str) -> float:
    """Take a number of seconds, one at least."""
    number = seconds(value)
    if number < 1:
        raise Problem(f"{shown(value)} leaves no time; it takes a number of seconds, 1 or more")
    return number


def seconds(value: str) -> float:
    """Take a number of seconds, 0 or more."""
    try:
        number = float(value)
    except ValueError:
        number = -1.0
    if not 0 <= number < 10**9:
        raise Problem(f"{shown(value)} is not a number of seconds, 0 or more")
    return number


_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}


def size(value: str) -> int:
    """Take a number of bytes, also written as 500M or 1G."""
    found = re.fullmatch(r"(\d{1,15})([KMGT]?)(?:i?B)?", value, re.IGNORECASE | re.ASCII)
    if found is None:
        raise Problem(f"{shown(value)} is not a size, such as 500M or 1G")
    return int(found[1]) * _UNITS[found[2].upper()]


def words(value: str) -> tuple[str, ...]:
    """Take words separated by commas."""
    return tuple(word for part in text(value).split(",") if (word := part.strip()))


def command_line(value: str) -> str:
    """Take words of a command line, with a shell's quotes; the text stays as it is."""
    import shlex  # takes 1 ms, and few engines have options

    try:
        shlex.split(text(value))
    except ValueError:
        raise Problem("has a quote that does not end") from None
    return value


def count(value: str) -> int:
    """Take a whole number, 0 or more."""
    if not (value.isascii() and value.isdigit()):
        raise Problem(f"{shown(value)} is not a whole number, 0 or more")
    return int(value)


def day(value: str) -> str:
    """Take a day in the form of ISO 8601."""
    from datetime import date  # takes 1 ms, and this setting is rarely set

    try:
        return date.fromisoformat(value).isoformat()
    except ValueError:
        raise Problem(f"{shown(value)} is not a day such as 2026-01-31") from None


def path(value: str) -> str:
    """Take an absolute path."""
    if not value.startswith("/"):
        raise Problem(f"{shown(value)} is not an absolute path")
    return value


def url(value: str) -> str:
    """Take an http or https URL.

    A slash at the end is cut, because GitHub answers 404 to such a URL. The scheme's default port
    is cut, because the listener takes a host with any port for an Enterprise Server.
    """
    if not value:
        return ""
    match = re.fullmatch(r"(https?)://([^\s/@?#]+)(/[^\s?#@]*)?", value, re.IGNORECASE)
    if not match:
        raise Problem("is not a URL of the form https://HOST[/PATH] (and may hold no password)")
    scheme, place, path = match[1].lower(), match[2].lower(), match[3] or ""
    return f"{scheme}://{_place(place, scheme)}{path}".rstrip("/")


def _place(value: str, scheme: str) -> str:
    """Return a host, with its port if that is not the usual one, as GitHub's programs write it."""
    require_host(value)
    found = _ROOT_DOT.sub("", value.removesuffix(_PORTS[scheme]))
    name = found.partition(":")[0]
    if name != found and target.is_hosted(name.removeprefix("api.")):
        raise Problem(f"{shown(value)} names a port that {name} does not have")
    return found


def require_host(place: str) -> None:
    """Raise a Problem if a host name is too long for the DNS (RFC 1035), or its port too high."""
    port = _PORT.search(place)
    if port and not 0 < int(port[1]) <= _HIGHEST_PORT:
        raise Problem(f"has a port that does not exist: it is a number from 1 to {_HIGHEST_PORT}")
    name = place if place.startswith("[") else place.partition(":")[0]
    if len(name) > _LONGEST_NAME or any(len(part) > _LONGEST_PART for part in name.split(".")):
        raise Problem(
            f"has a host name that is too long: {_LONGEST_NAME} characters at most, and"
            f" {_LONGEST_PART} between two dots"
        )


def host(value: str) -> str:
    """Take a host name, which may have a port; www. and the port of https are cut."""
    if not re.fullmatch(r"[A-Za-z0-9.-]+(:\d+)?|\[[0-9A-Fa-f:]+\](:\d+)?", value):
        raise Problem(f"{shown(value)} is not a host name; it takes github.com, without https://")
    bare = _place(value.lower().removeprefix("www."), "https")
    if bare.startswith("api.") and target.is_hosted(bare.removeprefix("api.")):
        raise Problem(
            f"{shown(value)} is the host of the API; it takes {bare.removeprefix('api.')}"
        )
    return bare


def labels(value: str) -> tuple[str, ...]:
    """Take labels separated by commas.

    Spaces and quotes around a label are cut; empty and repeated labels are dropped.
    """
    found = tuple(label for part in value.split(",") if (label := unquoted(part)))
    for label in found:
        if len(label) > MAX_LABEL:
            raise Problem(f"a label has {len(label)} characters, more than {MAX_LABEL}")
        if not label.isprintable():
            raise Problem(f"the label {shown(label)} has a control character in it")
    return tuple(dict.fromkeys(found))


def choice(*allowed: str, **others: str) -> Parser:
    """Make a parser for one of the `allowed` words; `others` maps further spellings to them."""

    def parse(value: str) -> str:
        word = others.get(value.lower(), value.lower())
        if word not in allowed:
            raise Problem(f"{shown(value)} is not one of {', '.join(allowed)}")
        return word

    return parse


def optional(parse: Parser) -> Parser:
    """Make a parser that also takes an empty value, and returns an empty string for it."""
    return lambda value: parse(value) if value else ""


def page(value: str) -> str:
    """Take the URL of the page of a repository, an organization or an enterprise."""
    address = url(value)
    try:
        found = target.names(_split(address)[1])
    except ValueError:
        raise Problem(
            f"{shown(value)} is not the page of a repository, an organization or an enterprise, as"
            " in https://github.com/acme/shop, https://github.com/acme,"
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
    r"""Take a PEM private key; return the PEM.

    It may be given as it is, with \n for line breaks, or in base64. Its line breaks may have become
    spaces, or be missing: RFC 7468 says where they belong, so they are put back.
    """
    key = value.strip()
    if "-----BEGIN" not in key:
        import base64  # takes 1 ms, and such a key is rare

        try:
            key = base64.b64decode("".join(key.split()), validate=True).decode().strip()
        except ValueError:
            raise Problem("is neither a PEM private key nor one in base64") from None
    key = key.replace("\\r", "").replace("\\n", "\n").replace("\r", "").strip()
    found = _PEM.fullmatch(key)
    if not found:
        raise Problem("is not a whole private key in PEM form, -----BEGIN to -----END")
    first, body, last = found.groups()
    lines = [line.strip() for line in body.strip().split("\n")]
    if len(lines) == 1:
        bare = "".join(lines[0].split())
        lines = [bare[i : i + _PEM_LINE] for i in range(0, len(bare), _PEM_LINE)]
    return "\n".join([first, *lines, last, ""])
