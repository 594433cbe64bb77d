"""A private certificate authority beside the system's: for us, the listener, jobs and engine.

requests, OpenSSL and Go each take one bundle in place of the system's, so theirs holds both.
Node takes the private one alone, beside its own.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping

from entrypoint.settings import Settings

# Debian and Ubuntu; Fedora and its kin; openSUSE; Alpine.
_SYSTEM = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)
FOLDER = "/run/gh-runner"
_BUNDLES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO")


def system_bundle() -> str:
    """Return the path of the system's bundle, or an empty string."""
    return next((path for path in _SYSTEM if os.path.isfile(path)), "")


def problems(path: str) -> list[str]:
    """Return what is wrong with the file that RUNNER_CA_FILE names."""
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            ssl.create_default_context(cadata=file.read())
    except OSError as error:  # ssl.SSLError is one
        return [f"RUNNER_CA_FILE: {path} cannot be used: {error.strerror or error}"]
    except ValueError:
        return [f"RUNNER_CA_FILE: {path} holds no certificate in PEM form"]
    return []


def bundle(settings: Settings, folder: str = FOLDER) -> str:
    """Write the system's authorities and the private one into one file; return its path.

    Empty if there is no private one. Any process may do it again: it replaces the file at once.
    """
    if not settings.ca_file:
        return ""
    private = _read(settings.ca_file)
    _write(os.path.join(folder, "ca.pem"), private)
    path = os.path.join(folder, "ca-bundle.pem")
    _write(path, _read(system_bundle()) + b"\n" + private)
    return path


def environment(settings: Settings, folder: str = FOLDER) -> Mapping[str, str]:
    """Return the variables by which the listener, its Node, jobs and the engine trust it too.

    Values that the operator set for these variables ought to win over them.
    """
    path = bundle(settings, folder)
    if not path:
        return {}
    private = os.path.join(folder, "ca.pem")
    return {"NODE_EXTRA_CA_CERTS": private, **dict.fromkeys(_BUNDLES, path)}


def _read(path: str) -> bytes:
    if not path:
        return b""
    with open(path, "rb") as file:
        return file.read()


def _write(path: str, content: bytes) -> None:
    """Put a file that everybody may read in its place, whole or not at all."""
    os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
    draft = f"{path}.{os.getpid()}"
    with open(draft, "wb") as file:
        os.fchmod(file.fileno(), 0o644)
        file.write(content)
    os.replace(draft, path)
