"""Redacts the secrets that this process knows, and all that looks like a secret, in a text.

Code that reads a value which may be a secret calls `hide` before any other code gets the value.
After that, an error of a parser, of a library or of another program may quote the value, as a
whole or in part, and the log does not show it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

_LONG = 8  # characters; a shorter part of a secret may be a part of an ordinary word
_SHORTEST = 4  # characters; a shorter value is not treated as a secret
_SHOWN = 39  # characters; the longest value that a message repeats, an owner's name at GitHub
MASK = "***"

# Classic personal access tokens and the tokens of Apps and jobs; fine-grained tokens; JWTs;
# registration and remove tokens; PEM keys, whole or cut off; PEM keys in base64.
_TOKEN = re.compile(
    r"gh[pousr]_\w{8,}"
    r"|github_pat_\w{8,}"
    r"|\beyJ[\w-]{8,}(?:\.[\w-]+)*"
    r"|\bA[A-Z0-9]{28}\b"
    r"|-----BEGIN (?!CERT)[A-Z].*?(?:-----END[^\n]*?-----|\Z)"
    r"|LS0tLS1CRUdJTi[\w+/=-]*",
    re.DOTALL,
)
# Tokens from before April 2021, which look like the SHA of a commit; the body of a key, or other
# base64 that is not a path.
_LIKE_A_TOKEN = re.compile(
    r"(?<![0-9A-Za-z])[0-9a-f]{40}(?![0-9A-Za-z])"
    r"|(?<![\w/+.-])(?=[\w+/]*[A-Z])(?=[\w+/]*[a-z])(?=[\w+/]*[0-9])[A-Za-z0-9+][A-Za-z0-9+/]{59,}=*"
)
# Base64 may also follow a slash or a hyphen, and then looks like a path. A part of it with _RANDOM
# characters has all kinds in _MIXED. A directory's name does not: a hash has no letter after F.
_BASE64 = re.compile(r"[A-Za-z0-9+/]{60,}=*")
_RANDOM = 40
_MIXED = ("[A-Z]", "[a-z]", "[0-9]", "[G-Zg-z]")
# A user's name and password in something like a URL. They end at the last @ of the word, because a
# password that is not percent-encoded may contain any character. The digest of an image
# (name@sha256:…) and the words of our own hints are left alone.
_USER_INFO = re.compile(
    r"(?<=://)(?!\[?USER:PASSWORD@)[^\s'\"]*@"
    r"|(?<![\w.+:-])(?!USER:PASSWORD@)[\w.+-]+:[^\s/'\"][^\s'\"]*@(?!sha256:)"
)
# Parts of a secret that are public.
_KNOWN_TO_ALL = re.compile(r"-----[A-Z ]+-----|\bgithub_pat_")
_LOWER = str.maketrans({chr(c): chr(c + 32) for c in range(ord("A"), ord("Z") + 1)})

_pieces: set[str] = set()  # every part of _LONG characters of a known secret, in lower case
_words: set[str] = set()  # known secrets that are shorter


def hide(*secrets: str) -> None:
    """Let `redact` replace these secrets, each part of them, and their percent-encoded forms."""
    if not any(secrets):
        return
    from urllib.parse import quote, unquote  # only here, because PID 1 knows no secret

    for form in {*secrets, *map(unquote, secrets), *map(quote, secrets)}:
        for part in _KNOWN_TO_ALL.split(form):
            lower = part.translate(_LOWER)
            if len(lower) >= _LONG:
                _pieces.update(lower[i : i + _LONG] for i in range(len(lower) - _LONG + 1))
            elif len(lower) >= _SHORTEST:
                _words.add(lower)


def hide_user_info(values: Mapping[str, str]) -> None:
    """Hide the password in each value that looks like a URL with one, such as a proxy's address."""
    for value in values.values():
        hide(*passwords(value))


def passwords(value: str) -> Iterator[str]:
    """Yield the password in a value such as a URL; a name without a password counts as one."""
    _, is_url, rest = value.partition("://")
    info, at, _ = (rest if is_url else value).rpartition("@")
    name, colon, password = info.partition(":")
    if at and (colon or is_url):
        yield password if colon else name


def redact(text: str) -> str:
    """Replace known secrets, each long enough part of them, and all that looks like a secret."""
    for form in (_TOKEN, _LIKE_A_TOKEN):
        text = form.sub(MASK, text)
    text = _BASE64.sub(_masked, text)
    return _without_known(_USER_INFO.sub(f"{MASK}@", text))


def _masked(found: re.Match[str]) -> str:
    """Replace base64; return a path, which may have the same characters, unchanged.

    Base64 has a slash at every 64th place on average; a path has more slashes.
    """
    longest = max(found[0].split("/"), key=len)
    is_random = len(longest) >= _RANDOM and all(re.search(of, longest) for of in _MIXED)
    return MASK if is_random else found[0]


def redact_all(value: object) -> object:
    """Return a value of a type that JSON has, with every text in it redacted."""
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, Mapping):
        return {redact(str(name)): redact_all(one) for name, one in value.items()}
    if isinstance(value, list | tuple | set):
        return [redact_all(one) for one in value]
    return value


def is_token(value: str) -> bool:
    """Return whether a value contains something in the form of a GitHub token or a private key."""
    return bool(_TOKEN.search(value))


def has_password(value: str) -> bool:
    """Return whether a value is, or contains, a URL with a user's name or password in it."""
    return "://" in value and any(True for _ in passwords(value))


def shown(value: str) -> str:
    """Return a value in quotes if it is short and looks harmless, and otherwise only its length."""
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
