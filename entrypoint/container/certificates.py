"""A private certificate authority, trusted beside the system's by this program, jobs and engine.

requests, OpenSSL and Go each read one bundle instead of the system's, so that bundle must hold
both. Node adds a file to its own authorities, so that file holds the private one alone.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from entrypoint.container import files
from entrypoint.errors import ExitCode, Failure

if TYPE_CHECKING:
    import ssl

# Debian and Ubuntu; Fedora and its kin; openSUSE; Alpine.
_SYSTEM = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)
# Debian, Ubuntu: the bundle's authorities, each in a file that is named by its subject's hash.
_HASHED = "/etc/ssl/certs"
_HASH = re.compile(r"[0-9a-f]{8}\.\d+")
_LARGEST = 1 << 24  # bytes
_BEGIN, _END = b"-----BEGIN CERTIFICATE-----", b"-----END CERTIFICATE-----"
_CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----([\w+/=\s]+)-----END CERTIFICATE-----")
RUNNER_CA_FILE = "RUNNER_CA_FILE"
_PRIVATE, _BUNDLE = "ca.pem", "ca-bundle.pem"  # in RUNNER_STATE_DIR
_BUNDLES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO")
# All variables by which a program is told authorities: ours first, then those of OpenSSL and .NET,
# Python, curl, git and Node.
_CUSTOMARY = (RUNNER_CA_FILE, *_BUNDLES, "NODE_EXTRA_CA_CERTS", "SSL_CERT_DIR")
# Each of these is for one program, which may have servers of its own. So what such a variable names
# counts for all programs only if no variable of _CUSTOMARY names anything.
_OF_ONE_PROGRAM = (
    "PIP_CERT",
    "AWS_CA_BUNDLE",
    "CARGO_HTTP_CAINFO",
    "DENO_CERT",
    "NIX_SSL_CERT_FILE",
    "npm_config_cafile",
)


def system_bundle() -> str:
    """Return the path of the system's bundle, or an empty string."""
    return next((path for path in _SYSTEM if os.path.isfile(path)), "")


def system_authorities() -> str:
    """Return the system's authorities for requests: a directory or a bundle; "" without either."""
    # OpenSSL takes 20 ms to read the whole bundle, and no time to look up the one authority that
    # it needs in the directory. If the sizes differ, somebody has added to the bundle by hand:
    # then take the bundle.
    bundle, size = system_bundle(), 0
    try:
        with os.scandir(_HASHED) as entries:
            size = sum(entry.stat().st_size for entry in entries if _HASH.fullmatch(entry.name))
        return _HASHED if size and size == os.stat(bundle).st_size else bundle
    except OSError:
        return bundle


def context(ca_file: str) -> ssl.SSLContext:
    """Return a TLS context for http.client: the system's authorities and the private one.

    Raises OSError or ValueError if there are no authorities, or if they cannot be read.
    """
    import ssl  # takes 15 ms, and PID 1 itself has no TLS connection

    trusted = system_authorities()
    private = b"\n".join(_authorities(ca_file)).decode() if ca_file else None
    if not trusted and not private:
        raise ValueError("the system has no authorities")
    if os.path.isdir(trusted):
        return ssl.create_default_context(capath=trusted, cadata=private)
    return ssl.create_default_context(cafile=trusted, cadata=private)


class Trust(NamedTuple):
    """The path of the authorities to trust beside the system's; empty if there are none."""

    path: str
    notes: list[str]
    problems: list[str]
    variable: str = ""


def choose(environ: Mapping[str, str]) -> Trust:
    """Return which authorities the variables name.

    It does not matter which of the customary variables the operator has set: every program will
    trust its authorities. A variable that names only the system's own is ignored. Two variables
    that name different authorities are a problem, because programs would differ in their trust.
    """
    found, problems = _named(environ, _CUSTOMARY)
    private, disagreement = _private(found)
    if disagreement:
        problems.append(
            f"{disagreement}; put all of them into one file, and name it in {RUNNER_CA_FILE}"
        )
    if problems:
        return Trust("", [], problems)
    notes: list[str] = []
    if not private and RUNNER_CA_FILE not in found:
        found, notes = _named(environ, _OF_ONE_PROGRAM)
        private, disagreement = _private(found)
        if disagreement:
            notes.append(
                f"{disagreement}, each for a program of its own; those that all programs are to"
                f" trust go into {RUNNER_CA_FILE}"
            )
            private = []
    chosen = next(iter(private), RUNNER_CA_FILE if RUNNER_CA_FILE in found else "")
    if not chosen:
        return Trust("", notes, [])
    if chosen != RUNNER_CA_FILE:
        notes.append(
            f"{chosen}: its authorities are trusted by every program here, beside the system's"
        )
    return Trust(environ[chosen].strip(), notes, [], chosen)


def _named(
    environ: Mapping[str, str], variables: tuple[str, ...]
) -> tuple[dict[str, frozenset[bytes]], list[str]]:
    """Return the authorities of each variable, and a problem for each whose path is unusable."""
    found, problems = dict[str, frozenset[bytes]](), []
    for variable in (name for name in variables if environ.get(name, "").strip()):
        path = environ[variable].strip()
        try:
            found[variable] = frozenset(_authorities(path))
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or error
            problems.append(f"{variable}: {path} cannot be used: {why}")
    return found, problems


def _private(found: Mapping[str, frozenset[bytes]]) -> tuple[list[str], str]:
    """Return the variables that name authorities that the system does not have.

    Returns also that these variables disagree, in words; "" if they do not.
    """
    system = frozenset(_certificates(_read(system_bundle()))) if found else frozenset[bytes]()
    private = {name: added for name, all_of in found.items() if (added := all_of - system)}
    if len(set(private.values())) > 1:
        return [*private], f"{' and '.join(private)}: name different authorities"
    return [*private], ""


def _authorities(path: str) -> list[bytes]:
    """Return the certificates of a file, or of all files of directories (SSL_CERT_DIR)."""
    found = []
    for place in path.split(os.pathsep):
        if os.path.isdir(place):
            found += [one for entry in os.scandir(place) for one in _in_directory(entry.path)]
        elif place == path or os.path.lexists(place):
            found += _valid(_read(place))
        # A missing directory in a list is ignored, as OpenSSL and Go ignore it.
    if not found:
        raise ValueError("it holds no certificate in PEM form")
    return found


def _in_directory(path: str) -> list[bytes]:
    """Return the certificates of one entry of a directory; none if it is another kind of file."""
    try:
        return _valid(_read(path))
    except (OSError, ValueError):
        return []


def _valid(content: bytes) -> list[bytes]:
    """Return the certificates in a text. ValueError if OpenSSL cannot read one of them."""
    if found := _certificates(content):
        import ssl  # takes 15 ms, and few containers have a private authority

        ssl.create_default_context(cadata=b"\n".join(found).decode())
    return found


def _certificates(content: bytes) -> list[bytes]:
    """Return the certificates in a text, each in the same form.

    All else is left out, since the file may hold a private key too, and the result is public.
    """
    return [
        b"\n".join([_BEGIN, *re.findall(rb".{1,64}", b"".join(body.split())), _END])
        for body in _CERTIFICATE.findall(content)
    ]


def bundle(ca_file: str, directory: str) -> str:
    """Write the system's authorities and the private one into one file; return its path.

    Returns "" if there is no private one. Several processes may call this at the same time, because
    the file is replaced in one step. Raises a Failure (78) if it cannot be written.
    """
    if not ca_file:
        return ""
    try:
        private = b"\n".join([*_authorities(ca_file), b""])
        opened = files.open_directory(directory)
        try:
            files.put(opened, _PRIVATE, private)
            files.put(opened, _BUNDLE, _read(system_bundle()) + b"\n" + private)
        finally:
            os.close(opened)
    except (OSError, ValueError) as error:
        why = f"{error.filename}: {error.strerror}" if isinstance(error, OSError) else str(error)
        raise Failure(
            ExitCode.CONFIG,
            f"RUNNER_CA_FILE: {why}",
            "the directory that RUNNER_STATE_DIR names must be writable",
        ) from None
    return os.path.join(directory, _BUNDLE)


def environment(ca_file: str, directory: str) -> dict[str, str]:
    """Return the variables that make listener, Node, jobs and engine trust the private authority.

    They may replace what the operator has set, because `choose` has found that any variable that
    was set names the same authorities or only the system's.
    """
    path = bundle(ca_file, directory)
    if not path:
        return {}
    private = os.path.join(directory, _PRIVATE)
    return {"NODE_EXTRA_CA_CERTS": private, **dict.fromkeys(_BUNDLES, path)}


def _read(path: str) -> bytes:
    """Read a plain file. ValueError for any other kind, such as a FIFO, where a read would hang."""
    if not path:
        return b""
    with open(path, "rb", opener=_without_waiting) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise ValueError("it is no plain file")
        content = file.read(_LARGEST + 1)
    if len(content) > _LARGEST:
        raise ValueError(f"it is larger than {_LARGEST} bytes")
    return content


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)
