"""The proxy to GitHub: read as GitHub's runner reads it, and corrected where that is possible.

The runner reads https_proxy, HTTPS_PROXY, http_proxy, HTTP_PROXY and no_proxy, NO_PROXY; a name in
small letters comes first (RunnerWebProxy in actions/runner). If .NET cannot parse an address, the
runner uses no proxy and says nothing about it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from ipaddress import ip_address, ip_network
from typing import NamedTuple
from urllib.parse import SplitResult, unquote, urlsplit

from entrypoint import redaction
from entrypoint.settings.parsers import Problem, require_host, unquoted

_ADDRESSES = ("https_proxy", "HTTPS_PROXY", "http_proxy", "HTTP_PROXY")
_OTHERS = ("all_proxy", "ALL_PROXY")
_EXCEPTIONS = ("no_proxy", "NO_PROXY")
_PORTS = {"http": 80, "https": 443}
_PLACE = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::\d{1,5})?")
_ENCODED = "/ as %2F, # as %23, ? as %3F, @ as %40, [ as %5B, ] as %5D, % as %25, a space as %20"
_IN_USER_INFO = re.compile(r"(?:[^\s/#?@\[\]%\"<>\\^`{|}]|%[0-9A-Fa-f]{2})*")
_IN_VAIN = {
    "://": "it takes host names, without https://",
    "*": "there are no wildcards; .example.com is all hosts below it",
    ";": "hosts are separated by commas",
    " ": "hosts are separated by commas",
}


class Proxies(NamedTuple):
    """Problems, notes for the operator, and the variables with their corrected values."""

    problems: list[str]
    notes: list[str]
    corrected: dict[str, str]


def examine(environ: Mapping[str, str]) -> Proxies:
    """Check the proxy variables; no message contains a part of an address, which may be secret."""
    found = Proxies([], [], {})
    for variable in (name for name in _ADDRESSES if environ.get(name)):
        try:
            address, note = _address(environ[variable])
        except Problem as problem:
            found.problems.append(f"{variable}: {problem}")
            continue
        if address != environ[variable]:
            found.corrected[variable] = address
            found.notes.append(f"{variable}: {note}")
    for variable in (name for name in _OTHERS if environ.get(name)):
        found.notes.append(
            f"{variable}: is passed over by GitHub's runner, and so here; give HTTPS_PROXY"
        )
    for variable in (name for name in _EXCEPTIONS if environ.get(name)):
        value = unquoted(environ[variable])
        if value != environ[variable]:
            found.corrected[variable] = value
        found.notes.extend(f"{variable}: {note}" for note in _in_vain(value))
    return found


def _address(value: str) -> tuple[str, str]:
    """Return a proxy's address as .NET accepts it, and what was corrected; or raise a Problem."""
    address, notes = unquoted(value), []
    if address != value:
        notes.append("white space or quotes around it were cut")
    scheme, is_url, rest = address.partition("://")
    if not is_url:
        scheme, rest = "http", address
        notes.append("was taken for an http:// proxy, which was put before it")
    if scheme.lower() not in ("http", "https"):
        raise Problem("GitHub's runner takes an http:// proxy only, no SOCKS")
    info, at, place = rest.rpartition("@")
    if not _IN_USER_INFO.fullmatch(info):
        raise Problem(
            "the user's name or password before the @ holds what must be percent-encoded:"
            f" {_ENCODED}"
        )
    try:
        unquote(info).encode("latin-1")
    except UnicodeEncodeError:
        # A proxy is sent the two in the header Proxy-Authorization; requests writes it in Latin-1.
        raise Problem(
            "the user's name or password before the @ holds a character that a proxy cannot be"
            " sent: only those of Latin-1 can"
        ) from None
    if not _PLACE.fullmatch(place.removesuffix("/")):
        raise Problem("is not of the form http://[USER:PASSWORD@]HOST[:PORT]")
    require_host(place)
    return f"{scheme.lower()}://{info}{at}{place}", "; ".join(notes) or "was put right"


def _in_vain(value: str) -> Iterator[str]:
    """Yield a note for each exception in NO_PROXY that cannot match any host."""
    for entry in filter(None, (part.strip() for part in value.split(","))):
        why = next((why for sign, why in _IN_VAIN.items() if sign in entry and entry != "*"), "")
        if why:
            yield f"{redaction.shown(entry)} matches nothing: {why}"


def choose(environ: Mapping[str, str], url: str) -> str:
    """Return the proxy's address for a URL; "" if no proxy is to be used."""
    parts = urlsplit(url)
    address = _first(environ, (f"{parts.scheme}_proxy", f"{parts.scheme.upper()}_PROXY"))
    entries = (entry.strip().lower() for entry in _first(environ, _EXCEPTIONS).split(","))
    if any(_matches(entry, parts) for entry in entries if entry):
        return ""
    return address


def _matches(entry: str, parts: SplitResult) -> bool:
    """Whether an entry of NO_PROXY matches a host.

    Names match as in GitHub's runner. A star, addresses and ranges match as in curl; GitHub's
    runner itself ignores those.
    """
    host = parts.hostname or ""
    if entry in ("*", host, f"[{host}]") or _is_in_range(host, entry):
        return True
    name, _, port = entry.partition(":")
    if port and port != str(parts.port or _PORTS[parts.scheme]):
        return False
    name = name.removeprefix(".")
    return host == name or host.endswith(f".{name}")


def _is_in_range(host: str, entry: str) -> bool:
    """Whether a host is an address within a range such as 10.0.0.0/8."""
    try:
        return "/" in entry and ip_address(host) in ip_network(entry, strict=False)
    except ValueError:
        return False


def _first(environ: Mapping[str, str], names: tuple[str, ...]) -> str:
    return next((environ[name] for name in names if environ.get(name)), "")


def shown(address: str) -> str:
    """Return a proxy's address without user name and password."""
    scheme, _, rest = address.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}"
