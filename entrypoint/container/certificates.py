"""A private certificate authority beside the system's: for us, the listener, jobs and engine.

requests, OpenSSL and Go each take one bundle in place of the system's, so theirs holds both.
Node takes the private one alone, beside its own.
"""

from __future__ import annotations

import os
import re
import ssl

from entrypoint.container import state
from entrypoint.errors import ExitCode, Failure
from entrypoint.settings.schema import Settings

# Debian and Ubuntu; Fedora and its kin; openSUSE; Alpine.
_SYSTEM = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)
_HASHED = "/etc/ssl/certs"  # Debian, Ubuntu: the same, a file each, named by its subject's hash
_HASH = re.compile(r"[0-9a-f]{8}\.\d+")
_PRIVATE, _BUNDLE = "ca.pem", "ca-bundle.pem"  # in RUNNER_STATE_DIR
_BUNDLES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO")


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


def problems(path: str) -> list[str]:
    """Return what is wrong with the file that RUNNER_CA_FILE names."""
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            content = file.read()
        if "-----BEGIN CERTIFICATE-----" not in content:
            return [f"RUNNER_CA_FILE: {path} holds no certificate in PEM form"]
        ssl.create_default_context(cadata=content)
    except OSError as error:  # ssl.SSLError is one
        return [f"RUNNER_CA_FILE: {path} cannot be used: {error.strerror or error}"]
    return []


def bundle(settings: Settings) -> str:
    """Write the system's authorities and the private one into one file; return its path.

    Empty if there is no private one. Any process may do it again: it replaces the file at once.
    Raises a Failure (78) if the state directory cannot be written.
    """
    if not settings.ca_file:
        return ""
    path = os.path.join(settings.state_dir, _BUNDLE)
    try:
        private = _read(settings.ca_file)
        _write(os.path.join(settings.state_dir, _PRIVATE), private)
        _write(path, _read(system_bundle()) + b"\n" + private)
    except OSError as error:
        raise Failure(
            ExitCode.CONFIG,
            f"RUNNER_CA_FILE: {error.filename}: {error.strerror}",
            "the directory that RUNNER_STATE_DIR names must be writable",
        ) from None
    return path


def environment(settings: Settings) -> dict[str, str]:
    """Return the variables by which the listener, its Node, jobs and the engine trust it too.

    Values that the operator set for these variables ought to win over them.
    """
    path = bundle(settings)
    if not path:
        return {}
    private = os.path.join(settings.state_dir, _PRIVATE)
    return {"NODE_EXTRA_CA_CERTS": private, **dict.fromkeys(_BUNDLES, path)}


def _read(path: str) -> bytes:
    if not path:
        return b""
    with open(path, "rb") as file:
        return file.read()


def _write(path: str, content: bytes) -> None:
    """Put a file that everybody may read in its place, whole or not at all."""
    state.make_directory(os.path.dirname(path))
    draft = f"{path}.{os.getpid()}"
    with open(draft, "wb") as file:
        os.fchmod(file.fileno(), 0o644)
        file.write(content)
    os.replace(draft, path)
