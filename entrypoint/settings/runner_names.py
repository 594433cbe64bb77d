"""The names of runners: the operator chooses the prefix, and a random suffix is added."""

from __future__ import annotations

import os
import re
import zlib

MAX_NAME = 64  # characters; GitHub's limit. Its runner only checks that a name is not empty.
_SUFFIX = 8  # hexadecimal digits at the end of each name


def unique(prefix: str) -> str:
    """Return a name that no other runner has, of no more than 64 characters.

    Without a prefix the name begins with the host's name.
    """
    return f"{shortened(prefix or os.uname().nodename)}-{os.urandom(_SUFFIX // 2).hex()}"


def substitute(name: str) -> str:
    """Return the name to use instead if GitHub says that a name exists already.

    It depends on the name alone, so that a clean-up can look for it too.
    """
    return f"{name[:-_SUFFIX]}{zlib.crc32(name.encode()):08x}"


def made_from(prefix: str) -> re.Pattern[str]:
    """Return a pattern that fully matches the names that are made from a prefix."""
    return re.compile(rf"{re.escape(shortened(prefix))}-[0-9a-f]{{{_SUFFIX}}}")


def shortened(prefix: str) -> str:
    """Return a prefix cut to the length that leaves room for the suffix."""
    return prefix[: MAX_NAME - _SUFFIX - 1]
