"""What must never be said: the secrets that this process knows, and whatever looks like one.

Whoever reads a value that may be a secret calls `hide` before anything else looks at it: an error
of a parser, of a library or of another program may then quote it, whole or in part.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

_LONG = 8  # characters; a shorter part of a secret may be part of any word
_SHORTEST = 4  # characters; what is shorter is no secret
_SHOWN = 39  # characters; the longest value that a message repeats, an owner's name at GitHub
MASK = "***"

# Personal access tokens and those of Apps and jobs; fine-grained ones; JWTs; registration and
# remove tokens; key blocks, whole or cut off, and the same in base64.
_TOKEN = re.compile(
    r"gh[pousr]_\w{8,}"
    r"|github_pat_\w{8,}"
    r"|\beyJ[\w-]{8,}(?:\.[\w-]+)*"
    r"|\bA[A-Z0-9]{28}\b"
    r"|-----BEGIN (?!CERT)[A-Z].*?(?:-----END[^\n]*?-----|\Z)"
    r"|LS0tLS1CRUdJTi[\w+/=-]*",
    re.DOTALL,
)
# Tokens that were made before April 2021, which look like a commit; the body of a key, or anything
# else in base64 that is no path.
_LIKE_A_TOKEN = re.compile(
    r"(?<![0-9A-Za-z])[0-9a-f]{40}(?![0-9A-Za-z])"
    r"|(?<![\w/+.-])(?=[\w+/]*[A-Z])(?=[\w+/]*[a-z])(?=[\w+/]*[0-9])[A-Za-z0-9+][A-Za-z0-9+/]{59,}=*"
)
# A user's name and password in anything like a URL. They end at the last @ of the word, since a
# password that is not encoded may hold all that ends one in a proper URL. A digest of an image is
# none, nor are the words of our own hints.
_USER_INFO = re.compile(
    r"(?<=://)(?!\[?USER:PASSWORD@)[^\s'\"]*@"
    r"|(?<![\w.+:-])(?!USER:PASSWORD@)[\w.+-]+:[^\s/'\"][^\s'\"]*@(?!sha256:)"
)
_KNOWN_TO_ALL = re.compile(r"-----[A-Z ]+-----|\bgithub_pat_")  # parts of secrets that are none
_LOWER = str.maketrans({chr(c): chr(c + 32) for c in range(ord("A"), ord("Z") + 1)})

_pieces: set[str] = set()  # all that is _LONG characters of a known secret, in lower case
_words: set[str] = set()  # known secrets that are shorter


def hide(*secrets: str) -> None:
    """Name secrets that this process knows, so that `redact` replaces each part of them.

    That is also what they are when percent-encoded or decoded.
    """
    if not any(secrets):
        return
    from urllib.parse import quote, unquote  # PID 1, which knows no secret, need not load it

    for form in {*secrets, *map(unquote, secrets), *map(quote, secrets)}:
        for part in _KNOWN_TO_ALL.split(form):
            lower = part.translate(_LOWER)
            if len(lower) >= _LONG:
                _pieces.update(lower[i : i + _LONG] for i in range(len(lower) - _LONG + 1))
            elif len(lower) >= _SHORTEST:
                _words.add(lower)


def hide_user_info(values: Mapping[str, str]) -> None:
    """Hide the passwords of all that is like a URL with one, such as a proxy's address."""
    for value in values.values():
        hide(*passwords(value))


def passwords(value: str) -> Iterator[str]:
    """Yield the password in a value; where no name stands before it, the name is one."""
    _, is_url, rest = value.partition("://")
    info, at, _ = (rest if is_url else value).rpartition("@")
    name, colon, password = info.partition(":")
    if at and (colon or is_url):
        yield password if colon else name


def redact(text: str) -> str:
    """Replace what is known to be a secret, each part of it, and all that looks like one."""
    for form in (_TOKEN, _LIKE_A_TOKEN):
        text = form.sub(MASK, text)
    return _without_known(_USER_INFO.sub(f"{MASK}@", text))


def redact_all(value: object) -> object:
    """Return a value of JSON's kinds with every text in it redacted."""
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, Mapping):
        return {redact(str(name)): redact_all(one) for name, one in value.items()}
    if isinstance(value, list | tuple | set):
        return [redact_all(one) for one in value]
    return value


def is_token(value: str) -> bool:
    """Return whether a value has the form of a credential of GitHub's, or of a key."""
    return bool(_TOKEN.search(value))


def has_password(value: str) -> bool:
    """Return whether a value is a URL, or holds one, with a user's name or password in it."""
    return "://" in value and any(True for _ in passwords(value))


def shown(value: str) -> str:
    """Return a value as a message may show it: quoted if it is short and looks harmless."""
    if len(value) > _SHOWN or redact(value) != value:
        return f"a value of {len(value)} characters"
    return repr(value)


def _without_known(text: str) -> str:
    lower, spans = text.translate(_LOWER), list[list[int]]()
    for i in range(len(lower) - _LONG + 1 if _pieces else 0):
        if lower[i : i + _LONG] in _pieces:
            if spans and i <= spans[-1][1]:
                spans[-1][1] = i + _LONG
            else:
                spans.append([i, i + _LONG])
    for start, end in reversed(spans):
        text = text[:start] + MASK + text[end:]
    for word in _words:
        text = re.sub(
            rf"(?<!\w){re.escape(word)}(?!\w)", MASK, text, flags=re.IGNORECASE | re.ASCII
        )
    return text
