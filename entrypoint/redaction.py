"""Redacts the secrets that this process knows, and all that looks like a secret, in a text.

Code that reads a value which may be a secret calls `hide` before any other code gets the value.
After that, an error of a parser, of a library or of another program may quote the value, as a
whole or in part, and the log does not show it.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_LONG = 8  # characters; a shorter part of a secret may be a part of an ordinary word
_SHORTEST = 4  # characters; a shorter value is not treated as a secret
_SHOWN = 39  # characters; the longest value that a message repeats, an owner's name at GitHub
MASK = "***"
# What looks like a secret has one of these in it, or so many letters and digits in a row. PID 1's
# own lines have neither, so an idle PID 1 does not load secret_forms.py, and with it `re`.
_SIGNS = (
    *("ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_"),
    *("eyJ", "-----BEGIN ", "LS0tLS1CRUdJTi", "@"),
)
_LONG_WORD = 29  # characters; a registration token has so many, and all other forms have more
_LOWER = str.maketrans({chr(c): chr(c + 32) for c in range(ord("A"), ord("Z") + 1)})

_pieces: set[str] = set()  # every part of _LONG characters of a known secret, in lower case
_words: set[str] = set()  # known secrets that are shorter


def hide(*secrets: str) -> None:
    """Let `redact` replace these secrets, each part of them, and their percent-encoded forms."""
    if any(secrets):
        hide_parts(parts(*secrets))


def hide_parts(known: Sequence[str]) -> None:
    """Let `redact` replace what `parts` has returned, perhaps in another process."""
    _pieces.update(part for part in known if len(part) == _LONG)
    _words.update(part for part in known if len(part) < _LONG)


def parts(*secrets: str) -> list[str]:
    """Return what `redact` looks for if it shall replace these secrets."""
    from urllib.parse import quote, unquote  # only here, because PID 1 does without it

    from entrypoint import secret_forms

    found: set[str] = set()
    for form in {*secrets, *map(unquote, secrets), *map(quote, secrets)}:
        for part in secret_forms.private_parts(form):
            lower = part.translate(_LOWER)
            if len(lower) >= _LONG:
                found.update(lower[i : i + _LONG] for i in range(len(lower) - _LONG + 1))
            elif len(lower) >= _SHORTEST:
                found.add(lower)
    return sorted(found)


def hide_user_info(values: Mapping[str, str]) -> None:
    """Hide the password in each value that looks like a URL with one, such as a proxy's address."""
    hide(*(password for value in values.values() for password in passwords(value)))


def passwords(value: str) -> Iterator[str]:
    """Yield the password in a value such as a URL; a name without a password counts as one."""
    _, is_url, rest = value.partition("://")
    info, at, _ = (rest if is_url else value).rpartition("@")
    name, colon, password = info.partition(":")
    if at and (colon or is_url):
        yield password if colon else name


def redact(text: str) -> str:
    """Replace known secrets, each long enough part of them, and all that looks like a secret."""
    if _may_look_like_a_secret(text):
        from entrypoint import secret_forms

        text = secret_forms.masked(text, MASK)
    return _without_known(text)


def _may_look_like_a_secret(text: str) -> bool:
    if any(sign in text for sign in _SIGNS):
        return True
    words = "".join(c if c.isalnum() or c in "+/" else " " for c in text).split()
    return any(len(word) >= _LONG_WORD for word in words)


def redact_all(value: object) -> object:
    """Return a value of a type that JSON has, with every text in it redacted."""
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, dict):
        return {redact(str(name)): redact_all(one) for name, one in value.items()}
    if isinstance(value, list | tuple | set):
        return [redact_all(one) for one in value]
    return value


def is_token(value: str) -> bool:
    """Return whether a value contains something in the form of a GitHub token or a private key."""
    from entrypoint import secret_forms

    return bool(secret_forms.TOKEN.search(value))


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
    lower = text.translate(_LOWER)
    for word in (word for word in _words if word in lower):
        from entrypoint import secret_forms

        text = secret_forms.without_word(text, word, MASK)
    return text
