"""A JIT (just-in-time) configuration: the three files of a runner that somebody has registered.

It is base64 of JSON that maps file names to base64 (actions/runner, `--jitconfig`). A program that
has it can act as that runner, so no message shows any part of it.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from entrypoint.settings import parsers
from entrypoint.settings.parsers import Problem

FILES = frozenset({".runner", ".credentials", ".credentials_rsaparams"})
# GitHub may add these one day. Any other name is refused: it would let the sender of a JIT
# configuration write a file of its choice.
_MORE = frozenset({".credentials_migrated", ".runner_migrated"})
_LARGEST = 1 << 16  # characters; GitHub's are 4,000


@dataclass(frozen=True)
class JitConfiguration:
    """The contents: the files by their names, and what `.runner` says about the registration."""

    files: Mapping[str, bytes] = field(repr=False)
    url: str
    name: str
    work_folder: str
    ephemeral: bool


def unpack(encoded: str) -> dict[str, bytes]:
    """Return the files by their names. Raises a Problem if this is not a JIT configuration."""
    if len(encoded) > _LARGEST:
        raise Problem(f"is no JIT configuration: it has {len(encoded)} characters")
    try:
        packed = json.loads(base64.b64decode(encoded, validate=True))
        files = {name: base64.b64decode(code, validate=True) for name, code in packed.items()}
    except (ValueError, TypeError, AttributeError, RecursionError):
        raise Problem("is no JIT configuration, which is base64 of JSON; was it cut?") from None
    if missing := FILES - files.keys():
        raise Problem(f"is no whole JIT configuration: it lacks {', '.join(sorted(missing))}")
    if files.keys() - FILES - _MORE:
        raise Problem(f"holds other files than {', '.join(sorted(FILES))}")
    return files


def read(encoded: str) -> JitConfiguration:
    """Return the contents of a JIT configuration. Raises a Problem if it cannot be used."""
    files = unpack(encoded)
    record = _json(files[".runner"])
    if not (record and _json(files[".credentials"]) and _json(files[".credentials_rsaparams"])):
        raise Problem("is no JIT configuration: its files do not hold JSON")
    try:
        url = parsers.page(str(record.get("githuburl") or ""))
    except Problem:
        raise Problem("does not say which GitHub it is for") from None
    if not (str(record.get("agentid")).isdigit() and record.get("agentname")):
        raise Problem("does not say which runner it is for")
    return JitConfiguration(
        files,
        url,
        str(record["agentname"]),
        str(record.get("workfolder") or "_work"),
        # .NET writes booleans into a JIT configuration as text.
        str(record.get("ephemeral")).lower() == "true",
    )


def _json(content: bytes) -> dict[str, Any]:
    """Return a JSON object with its keys in lower case; empty if the content is no object."""
    try:
        found = json.loads(content.decode("utf-8-sig"))
        return {key.lower(): value for key, value in found.items()}
    except (ValueError, AttributeError, RecursionError):
        return {}
