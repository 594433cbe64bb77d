"""A private certificate authority beside the system's: for us, the listener, jobs and engine.

requests, OpenSSL and Go each take one bundle in place of the system's, so theirs holds both.
Node takes the private one alone, beside its own.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from entrypoint.container import files
from entrypoint.errors import ExitCode, Failure

# Debian and Ubuntu; Fedora and its kin; openSUSE; Alpine.
_SYSTEM = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)
_HASHED = "/etc/ssl/certs"  # Debian, Ubuntu: the same, a file each, named by its subject's hash
_HASH = re.compile(r"[0-9a-f]{8}\.\d+")
_LARGEST = 1 << 24  # bytes
_BEGIN, _END = b"-----BEGIN CERTIFICATE-----", b"-----END CERTIFICATE-----"
_CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----([\w+/=\s]+)-----END CERTIFICATE-----")
RUNNER_CA_FILE = "RUNNER_CA_FILE"
_PRIVATE, _BUNDLE = "ca.pem", "ca-bundle.pem"  # in RUNNER_STATE_DIR
_BUNDLES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO")
# All that name authorities to some program: ours first, then OpenSSL and .NET, Python, curl, git.
_CUSTOMARY = (RUNNER_CA_FILE, *_BUNDLES, "NODE_EXTRA_CA_CERTS", "SSL_CERT_DIR")


def system_bundle() -> str:
    """Return the path of the system's bundle, or an empty string."""
    return next((path for path in _SYSTEM if os.path.isfile(path)), "")


def system_authorities() -> str:
    """Return what requests can trust as the system does: a directory if there is one, or a bundle.

    OpenSSL needs 20 ms to read the bundle, and none to look into a directory for the one
    authority that it wants. But a bundle may have been added to by hand: then it counts.
    """
    bundle, size = system_bundle(), 0
    try:
        with os.scandir(_HASHED) as entries:
            size = sum(entry.stat().st_size for entry in entries if _HASH.fullmatch(entry.name))
        return _HASHED if size and size == os.stat(bundle).st_size else bundle
    except OSError:
        return bundle


class Trust(NamedTuple):
    """The authorities to be trusted beside the system's, by the path that names them, if any."""

    path: str
    notes: list[str]
    problems: list[str]
    variable: str = ""


def choose(environ: Mapping[str, str]) -> Trust:
    """Return which authorities the variables name; each customary one means the same to all.

    One that names no more than the system's own is passed over. Two that name different ones are a
    problem: each program would go by another.
    """
    found, problems = dict[str, frozenset[bytes]](), []
    for variable in (name for name in _CUSTOMARY if environ.get(name, "").strip()):
        try:
            found[variable] = frozenset(_authorities(environ[variable].strip()))
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or error
            problems.append(f"{variable}: {environ[variable].strip()} cannot be used: {why}")
    system = frozenset(_certificates(_read(system_bundle()))) if found else frozenset[bytes]()
    private = {name: added for name, all_of in found.items() if (added := all_of - system)}
    if len(set(private.values())) > 1:
        problems.append(
            f"{' and '.join(private)}: name different authorities; put all of them into one file,"
            f" and name it in {RUNNER_CA_FILE}"
        )
    chosen = next(iter(private), RUNNER_CA_FILE if RUNNER_CA_FILE in found else "")
    if problems or not chosen:
        return Trust("", [], problems)
    note = f"{chosen}: its authorities are trusted by every program here, beside the system's"
    path = environ[chosen].strip()
    return Trust(path, [] if chosen == RUNNER_CA_FILE else [note], [], chosen)


def _authorities(path: str) -> Iterator[bytes]:
    """Yield the certificates of a file, or of all files of directories (SSL_CERT_DIR)."""
    for place in path.split(os.pathsep):
        files = [entry.path for entry in os.scandir(place)] if os.path.isdir(place) else [place]
        found = [one for file in files for one in _certificates(_read(file))]
        if found:
            import ssl  # 15 ms, only with authorities of one's own

            ssl.create_default_context(cadata=b"\n".join(found).decode())
        elif place == path:
            raise ValueError("it holds no certificate in PEM form")
        yield from found


def _certificates(content: bytes) -> list[bytes]:
    """Return the certificates in a text, each in one form: nothing else of it is for everybody."""
    return [
        b"\n".join([_BEGIN, *re.findall(rb".{1,64}", b"".join(body.split())), _END])
        for body in _CERTIFICATE.findall(content)
    ]


def bundle(ca_file: str, directory: str) -> str:
    """Write the system's authorities and the private one into one file; return its path.

    Empty if there is no private one. Any process may do it again: it replaces the file at once.
    Raises a Failure (78) if the state directory cannot be written.
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
    """Return the variables by which the listener, its Node, jobs and the engine trust it too.

    They win over what the operator has set: each that was set names no others than these.
    """
    path = bundle(ca_file, directory)
    if not path:
        return {}
    private = os.path.join(directory, _PRIVATE)
    return {"NODE_EXTRA_CA_CERTS": private, **dict.fromkeys(_BUNDLES, path)}


def _read(path: str) -> bytes:
    """Read a plain file; ValueError for what is none, such as a FIFO that nobody will write to."""
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
