"""What must never be said: the secrets that this process knows, and whatever looks like one."""

from __future__ import annotations

import re

# Forms of GitHub's tokens: PAT, fine-grained PAT, JWT, registration and remove tokens.
_TOKENS = re.compile(
    r"\bgh[pousr]_\w{8,}|\bgithub_pat_\w{8,}|\beyJ[\w-]{8,}(?:\.[\w-]+)*|\bA[A-Z0-9]{28}\b"
)
_LONG = 8  # characters; what is shorter may be part of any word
_secrets: set[str] = set()


def hide(*secrets: str) -> None:
    """Name secrets that this process knows, so that no line can ever hold them.

    Of one with several lines, a key, no single line is shown either.
    """
    lines = {line for secret in secrets for line in secret.replace("\\n", "\n").split("\n")}
    long_lines = {line for line in lines if len(line) >= _LONG and "-----" not in line}
    _secrets.update({secret for secret in secrets if secret} | long_lines)


def redact(words: str) -> str:
    """Replace the secrets that are known here, and all that has the form of GitHub's tokens."""
    for secret in sorted(_secrets, key=len, reverse=True):
        words = words.replace(secret, "***")
    return _TOKENS.sub("***", words)
