"""The names of runners: a prefix of the operator's, a random end of ours."""

from __future__ import annotations

import os
import re
import zlib

MAX_NAME = 64  # GitHub's limit; the listener itself checks nothing but "not empty"
_SUFFIX = 8  # hexadecimal digits at the end of each name


def unique(prefix: str) -> str:
    """Return a name that no other runner has, of no more than 64 characters.

    Without a prefix it begins with the host's name.
    """
    return f"{shortened(prefix or os.uname().nodename)}-{os.urandom(_SUFFIX // 2).hex()}"


def substitute(name: str) -> str:
    """Return the one name that is taken where GitHub says that a unique one exists already."""
    return f"{name[:-_SUFFIX]}{zlib.crc32(name.encode()):08x}"


def made_from(prefix: str) -> re.Pattern[str]:
    """Return a pattern that matches, as a whole, the names that are made from a prefix."""
    return re.compile(rf"{re.escape(shortened(prefix))}-[0-9a-f]{{{_SUFFIX}}}")


def shortened(prefix: str) -> str:
    """Return as much of a prefix as a name has room for."""
    return prefix[: MAX_NAME - _SUFFIX - 1]
