"""What secrets look like: the forms of GitHub's tokens, of keys, and of passwords in addresses.

redaction.py loads this module only for a text that may hold one of them.
"""

from __future__ import annotations

import re

# Classic personal access tokens and the tokens of Apps and jobs; fine-grained tokens; JWTs;
# registration and remove tokens; PEM keys, whole or cut off; PEM keys in base64.
TOKEN = re.compile(
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
ALL = (TOKEN, _LIKE_A_TOKEN, _BASE64, _USER_INFO)
# Parts of a secret that are public.
_KNOWN_TO_ALL = re.compile(r"-----[A-Z ]+-----|\bgithub_pat_")


def masked(text: str, mask: str) -> str:
    """Return a text with all that looks like a secret replaced by a mask."""
    for form in (TOKEN, _LIKE_A_TOKEN):
        text = form.sub(mask, text)
    text = _BASE64.sub(lambda found: mask if _is_random(found[0]) else found[0], text)
    return _USER_INFO.sub(f"{mask}@", text)


def _is_random(text: str) -> bool:
    """Whether a text of the characters of base64 is that, and no path, which may have the same.

    Base64 has a slash at every 64th place on average; a path has more slashes.
    """
    longest = max(text.split("/"), key=len)
    return len(longest) >= _RANDOM and all(re.search(of, longest) for of in _MIXED)


def without_word(text: str, word: str, mask: str) -> str:
    """Return a text with a short secret masked wherever it is a word of its own, in any case."""
    return re.sub(rf"(?<!\w){re.escape(word)}(?!\w)", mask, text, flags=re.IGNORECASE | re.ASCII)


def private_parts(secret: str) -> list[str]:
    """Return a secret without the parts that all secrets of its kind have."""
    return _KNOWN_TO_ALL.split(secret)
