"""Which tags an image gets, and which tags move."""

from __future__ import annotations

import pytest

from release.errors import Refusal
from release.versions import FLAVOURS, Version, immutable_tags, moving_tags, parse_all, released_in


def version(text: str) -> Version:
    """Read a version."""
    return Version.parse(text)


def moved(text: str, *released: str, flavour: str = "ubuntu") -> set[str]:
    """Return the tags that move to a version, given all versions released so far."""
    return set(moving_tags(version(text), [version(other) for other in released], flavour))


def test_order() -> None:
    """Numbers are compared as numbers, and a candidate comes before its version."""
    texts = ["1.10.0", "v1.9.9", "1.10.0-rc.2", "1.10.0-rc.10", "0.99.0"]
    order = ["0.99.0", "1.9.9", "1.10.0-rc.2", "1.10.0-rc.10", "1.10.0"]
    assert [str(found) for found in parse_all(texts)] == order


@pytest.mark.parametrize(
    "text",
    ["1.2", "1", "1.2.3.4", "01.2.3", "1.2.3-r2", "1.2.3-beta", "", "v", "vv1.2.3", "1.2.3\n"],
)
def test_what_is_no_version(text: str) -> None:
    """Only three numbers, or a release candidate of them, are a version."""
    assert parse_all([text]) == []
    with pytest.raises(Refusal):
        Version.parse(text)


def test_names_of_each_flavour() -> None:
    """The first flavour also has the bare version; others have their name at the end."""
    assert immutable_tags(version("1.2.3"), 1, "ubuntu") == ["1.2.3-ubuntu", "1.2.3"]
    assert immutable_tags(version("1.2.3"), 2, "ubuntu") == ["1.2.3-r2-ubuntu", "1.2.3-r2"]
    assert immutable_tags(version("1.2.3"), 3, "fedora-slim") == ["1.2.3-r3-fedora-slim"]


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_the_newest_moves_everything(flavour: str) -> None:
    """The newest version moves the tags of its minor, its major, and the flavour's name."""
    tags = moved("1.2.3", "1.2.2", "1.1.9", "0.9.0", flavour=flavour)
    bare = {"1.2", "1", "latest"} if flavour == "ubuntu" else set()
    assert tags == {f"1.2-{flavour}", f"1-{flavour}", flavour} | bare


def test_a_fix_of_an_older_minor() -> None:
    """A fix of an older minor moves that minor's tag only."""
    assert moved("1.2.4", "1.2.3", "1.3.0") == {"1.2", "1.2-ubuntu"}


def test_a_fix_of_an_older_major() -> None:
    """A fix of an older major moves that major's tag, and not `latest`."""
    assert moved("1.9.1", "1.9.0", "2.0.0") == {"1.9", "1.9-ubuntu", "1", "1-ubuntu"}


def test_an_older_patch_moves_nothing() -> None:
    """An older patch that comes late, or is rebuilt, moves nothing."""
    assert moved("1.2.3", "1.2.4") == set()


def test_a_candidate_moves_nothing() -> None:
    """A release candidate moves no tag, and no later release depends on it."""
    assert moved("1.3.0-rc.1", "1.2.3") == set()
    assert "latest" in moved("1.2.4", "1.2.3", "1.3.0-rc.1")


def test_what_a_repository_has() -> None:
    """Versions and revisions are read from tags; moving tags, signatures and others are skipped."""
    tags = [
        *("latest", "1", "1.2", "ubuntu", "1.2-ubuntu", "sha256-0123.sig", "1.2.3"),
        *("1.2.3-ubuntu", "1.2.3-r2-ubuntu", "1.2.3-r10-fedora-slim", "1.3.0-rc.1-ubuntu"),
        *("1.4.0-arch", "1.2.3-r02-ubuntu"),
    ]
    found = {str(known): revision for known, revision in released_in(tags).items()}
    assert found == {"1.2.3": 10, "1.3.0-rc.1": 1}
