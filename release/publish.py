"""Publishes images that are already built: copies them to the users' repository, with tags.

Usage: python3 -m release.publish VERSION --from BUILD --to REPOSITORY [OPTIONS]

BUILD is where the workflow "Images" has pushed them: a repository and the beginning of the tags, as
in ghcr.io/acme/gh-runner-build:KEY. The tags are KEY-ubuntu, KEY-ubuntu-slim and so on, and
KEY-base-ubuntu and so on for the bases. These are copied to REPOSITORY and to REPOSITORY-base.

Everything is copied and signed before any tag is written, so that no tag ever leads to an unsigned
image. Immutable tags are written first, then those that move. Steps that were done before are
skipped, so that an interrupted run can be repeated. If an immutable tag leads to another image, the
command fails before it writes anything.

With --again the version exists already and gets its next revision. If the first build is published
once more after that, the moving tags stay at the revision.

Prints one line for each image: its immutable name and its digest.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

from release.errors import Refusal, run
from release.registry import Repository
from release.signature import sign
from release.versions import FLAVOURS, Version, immutable_tags, moving_tags, released_in


@dataclass(frozen=True)
class Image:
    """One flavour: its build, and its repository for users."""

    source: Repository
    digest: str
    target: Repository
    flavour: str


def main() -> None:
    """Read the command line, and publish."""
    parser = argparse.ArgumentParser(prog="python3 -m release.publish")
    parser.add_argument("version", type=str)
    parser.add_argument("--from", dest="build", required=True, help="REPOSITORY:KEY")
    parser.add_argument("--to", required=True, help="the users' repository")
    parser.add_argument("--again", action="store_true", help="as the next revision of it")
    parser.add_argument("--sign", metavar="OWNER/NAME", help="as this repository's workflow")
    parser.add_argument(
        "--flavours", nargs="+", choices=FLAVOURS, default=FLAVOURS, help="all by default"
    )
    options = parser.parse_args()
    version = Version.parse(options.version)
    images = built(options.build, options.to, options.flavours)
    released = released_in(images[0].target.tags())
    revision = next_revision(version, released, again=options.again)
    unwritten = immutable(images, version, revision)
    for image in images:
        image.target.bring(image.source, image.digest)
        if options.sign:
            sign(f"{image.target.name}@{image.digest}", options.sign)
    for image, tag in unwritten:
        image.target.tag(image.digest, tag)
    if revision >= released.get(version, 1):
        move(images, version, [*released, version])
    report(images, version, revision)


def built(build: str, to: str, flavours: Sequence[str]) -> list[Image]:
    """Return the images of all flavours; a Refusal names those that were not built."""
    name, _, key = build.rpartition(":")
    source = Repository(name)
    targets = {"": Repository(to), "base-": Repository(f"{to}-base")}
    wanted = [
        (f"{key}-{prefix}{flavour}", prefix, flavour) for prefix in targets for flavour in flavours
    ]
    there = source.tags()
    if missing := [f"{name}:{tag}" for tag, _, _ in wanted if tag not in there]:
        raise Refusal(f"not built: {', '.join(missing)}")
    return [
        Image(source, source.digest(tag), targets[prefix], flavour)
        for tag, prefix, flavour in wanted
    ]


def next_revision(version: Version, released: dict[Version, int], *, again: bool) -> int:
    """Return the number of this build; Refusal if a version to build again was never released."""
    if not again:
        return 1
    if version not in released:
        raise Refusal(f"{version} has not been released, so it cannot be built again")
    return released[version] + 1


def immutable(images: list[Image], version: Version, revision: int) -> list[tuple[Image, str]]:
    """Return the immutable tags to write; Refusal if one leads to another image."""
    there = tags_of(images)
    unwritten, taken = [], []
    for image in images:
        for tag in immutable_tags(version, revision, image.flavour):
            if tag not in there[image.target]:
                unwritten.append((image, tag))
            elif image.target.digest(tag) != image.digest:
                taken.append(f"{image.target.name}:{tag}")
    if taken:
        raise Refusal(f"immutable, and there already with other content: {', '.join(taken)}")
    return unwritten


def tags_of(images: list[Image]) -> dict[Repository, set[str]]:
    """Return the present tags of each repository."""
    return {target: set(target.tags()) for target in {image.target for image in images}}


def move(images: list[Image], version: Version, released: list[Version]) -> None:
    """Point those tags to this version that have to move."""
    there = tags_of(images)
    for image in images:
        for tag in moving_tags(version, released, image.flavour):
            if tag not in there[image.target] or image.target.digest(tag) != image.digest:
                image.target.tag(image.digest, tag)


def report(images: list[Image], version: Version, revision: int) -> None:
    """Print the digest and the immutable name of each image."""
    for image in images:
        name = immutable_tags(version, revision, image.flavour)[-1]
        print(f"{image.target.name}:{name}@{image.digest}")


if __name__ == "__main__":
    run(main)
