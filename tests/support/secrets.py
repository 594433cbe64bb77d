"""Secrets made from a seed, in every form that GitHub and proxies use."""

from __future__ import annotations

import base64
import functools
import random
import string
from collections.abc import Callable

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

PART = 8  # characters; no output may have so many of a secret in a row
_WORD = string.ascii_letters + string.digits

Form = Callable[[int], tuple[str, str]]  # from a seed: the secret, and the value that holds it


def _random(seed: int, length: int, alphabet: str = _WORD) -> str:
    return "".join(random.Random(seed).choices(alphabet, k=length))


@functools.cache
def app_key() -> str:
    """Return a private key as an App has it: one for all tests, since it takes long to make."""
    return (
        rsa.generate_private_key(public_exponent=65537, key_size=2048)
        .private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.NoEncryption(),
        )
        .decode()
    )


def _token(prefix: str, length: int, alphabet: str = _WORD) -> Form:
    def make(seed: int) -> tuple[str, str]:
        made_up = _random(seed, length, alphabet)
        return made_up, prefix + made_up

    return make


def _key(change: Callable[[str], str]) -> Form:
    def make(seed: int) -> tuple[str, str]:
        del seed  # one key serves all tests
        key = app_key()
        return key, change(key)

    return make


def _proxy(pattern: str) -> Form:
    def make(seed: int) -> tuple[str, str]:
        halves = _random(seed, 9), _random(seed + 1, 9)
        return "\n".join(halves), pattern.format(*halves)

    return make


FORMS: dict[str, Form] = {
    "classic": _token("ghp_", 36),
    "fine-grained": _token("github_pat_", 82, _WORD + "_"),
    "of a job": _token("ghs_", 36),
    "of old": _token("", 40, "0123456789abcdef"),
    "registration": _token("A", 28, string.ascii_uppercase + string.digits),
    "JWT": _token("eyJ", 120, _WORD + "-_"),
    "key": _key(str),
    "key in one line": _key(lambda key: key.replace("\n", "\\n")),
    "key with spaces": _key(lambda key: key.replace("\n", " ")),
    "key without line breaks": _key(lambda key: key.replace("\n", "")),
    "key in base64": _key(lambda key: base64.b64encode(key.encode()).decode()),
    "key's body": _key(lambda key: "".join(key.splitlines()[1:-1])),
    "proxy": _proxy("http://svc:{}{}@h:3128"),
    "proxy with /": _proxy("http://svc:{}/{}@h:3128"),
    "proxy with #": _proxy("http://svc:{}#{}@h:3128"),
    "proxy with ?": _proxy("http://svc:{}?{}@h:3128"),
    "proxy with @": _proxy("http://svc:{}@{}@h:3128"),
    "proxy with [": _proxy("http://svc:{}[{}@h:3128"),
    "proxy without a scheme": _proxy("svc:{}{}@h:3128"),
    "proxy with a name only": _proxy("http://{}{}@h:3128"),
}


def parts_in(secret: str, text: str) -> list[str]:
    """Return the parts of a secret, eight characters long, that are in a text, in any case.

    The first and the last line of a key are not secret.
    """
    text = text.lower()
    lines = [line.lower() for line in secret.splitlines() if "-----" not in line]
    return [
        line[i : i + PART]
        for line in lines
        for i in range(len(line) - PART + 1)
        if line[i : i + PART] in text
    ]
