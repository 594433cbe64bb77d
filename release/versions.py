"""Versions of this project, and the tags of their images.

A version is 1.2.3, or a release candidate such as 1.3.0-rc.1. Its images may be built again, with
newer packages and a newer runner of GitHub's: as 1.2.3-r2, 1.2.3-r3 and so on. The tags of a
version and of its revisions are immutable. `1.2`, `1` and `latest` move to the newest one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import total_ordering

from release.errors import Refusal

# Tags end with the flavour; the first flavour also has tags without it.
FLAVOURS = ("ubuntu", "ubuntu-slim", "fedora", "fedora-slim")

_NUMBER = r"(0|[1-9][0-9]{0,8})"
_VERSION = re.compile(rf"{_NUMBER}\.{_NUMBER}\.{_NUMBER}(?:-rc\.{_NUMBER})?")
_IMMUTABLE = re.compile(rf"({_VERSION.pattern})(?:-r([1-9][0-9]*))?-(.+)")


@total_ordering
@dataclass(frozen=True)
class Version:
    """Three numbers, and for a release candidate its number."""

    major: int
    minor: int
    patch: int
    candidate: int | None = None

    @classmethod
    def parse(cls, text: str) -> Version:
        """Read 1.2.3 or v1.2.3; raise a Refusal for anything else."""
        match = _VERSION.fullmatch(text.removeprefix("v"))
        if match is None:
            raise Refusal(f"{text!r} is no version such as 1.2.3 or 1.3.0-rc.1")
        major, minor, patch, candidate = match.groups()
        return cls(
            int(major), int(minor), int(patch), None if candidate is None else int(candidate)
        )

    def __str__(self) -> str:
        """Return it as in tags."""
        suffix = "" if self.candidate is None else f"-rc.{self.candidate}"
        return f"{self.major}.{self.minor}.{self.patch}{suffix}"

    def __lt__(self, other: Version) -> bool:
        """A candidate comes before its version."""
        return self._key < other._key

    @property
    def _key(self) -> tuple[int, int, int, float]:
        last = float("inf") if self.candidate is None else self.candidate
        return (self.major, self.minor, self.patch, last)


def parse_all(texts: Iterable[str]) -> list[Version]:
    """Return the versions among these tags; other tags, such as v1, are ignored."""
    return sorted(
        Version.parse(text) for text in texts if _VERSION.fullmatch(text.removeprefix("v"))
    )


def immutable_tags(version: Version, revision: int, flavour: str) -> list[str]:
    """Return the tags that only this build of a flavour has; the first revision is 1."""
    name = str(version) if revision == 1 else f"{version}-r{revision}"
    return _of_flavour(name, flavour)


def moving_tags(version: Version, released: Iterable[Version], flavour: str) -> list[str]:
    """Return the tags that move to this version, given all released versions.

    1.2 moves to the newest 1.2.x, and 1 to the newest 1.x. `latest` and the flavour's bare name
    move to the newest of all. So a fix of 1.2 beside 1.3 moves `1.2` only, and a release candidate
    moves nothing.
    """
    if version.candidate is not None:
        return []
    others = [other for other in released if other.candidate is None]
    tags = []
    if all(o <= version for o in others if (o.major, o.minor) == (version.major, version.minor)):
        tags += _of_flavour(f"{version.major}.{version.minor}", flavour)
    if all(other <= version for other in others if other.major == version.major):
        tags += _of_flavour(f"{version.major}", flavour)
    if all(other <= version for other in others):
        tags += [flavour, *(["latest"] if flavour == FLAVOURS[0] else [])]
    return tags


def released_in(tags: Iterable[str]) -> dict[Version, int]:
    """Return the newest revision of each version, read from a repository's tags."""
    found: dict[Version, int] = {}
    for tag in tags:
        match = _IMMUTABLE.fullmatch(tag)
        if match and match.group(7) in FLAVOURS:
            version = Version.parse(match.group(1))
            found[version] = max(found.get(version, 1), int(match.group(6) or 1))
    return found


def _of_flavour(name: str, flavour: str) -> list[str]:
    return [f"{name}-{flavour}", *([name] if flavour == FLAVOURS[0] else [])]
