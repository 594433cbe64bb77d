"""The secrets that a probe looks for, by their names."""

from __future__ import annotations

import base64
import functools
import re

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from simulator import Simulator

APP_ID = 4711
KEY_FILE = ".credentials_rsaparams"
RUNNER_KEY = "runner key"


def given_out(simulator: Simulator, scope: str = "") -> dict[str, str]:
    """Return all tokens that GitHub has given out so far, for one scope or for all."""
    return {
        f"{kind} token {i}": token
        for kind, tokens in simulator.tokens(scope).items()
        for i, token in enumerate(tokens)
    }


def of_runner(key_file: bytes) -> dict[str, str]:
    """Return the runner's own key, plain and as a part of a JIT configuration."""
    key = re.search(r"[0-9a-f]{64}", key_file.decode("utf-8-sig"))
    assert key is not None
    # The base64 text of this file is a part of the configuration.
    return {RUNNER_KEY: key[0], "JIT configuration": base64.b64encode(key_file).decode()}


def of_app(simulator: Simulator) -> tuple[str, dict[str, str]]:
    """Install an App for acme; return its key in one line, and what a probe looks for."""
    key = _app_key()
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    installation = {"id": 1, "account": "acme", "permissions": {"administration": "write"}}
    simulator.add_app(APP_ID, public.decode(), installation)
    return pem.replace("\n", "\\n"), {"App key": pem.splitlines()[9]}


@functools.cache
def _app_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)
