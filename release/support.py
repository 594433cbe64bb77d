"""Finds the supported versions, and those whose images have to be built again.

Usage: python3 -m release.support --to REPOSITORY [--runner VERSION] [--now TIME] [--all]

Supported are (docs/support.md) the newest release; of its major version the minor before it, for 90
more days; of the major version before it the last minor, for 180 more days. Of each minor only the
last patch is supported.

Images are built again if GitHub has released a newer runner than theirs (--runner), and if they are
a week old, for the distribution's packages. Prints a JSON list for a workflow's matrix: version,
tag in git, and reason.
"""

from __future__ import annotations

import argparse
import json
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

from release.errors import run
from release.git import git
from release.registry import Repository
from release.versions import Version, immutable_tags, parse_all, released_in

MINOR, MAJOR = timedelta(days=90), timedelta(days=180)
WEEK = timedelta(days=6, hours=12)  # a little less, as a run may begin an hour late
RUNNER = "gh-runner.runner.version"


def main() -> None:
    """Read the command line, and print."""
    parser = argparse.ArgumentParser(prog="python3 -m release.support")
    parser.add_argument("--to", required=True, help="the users' repository of images")
    parser.add_argument("--runner", help="the newest version of GitHub's runner")
    parser.add_argument("--now", type=datetime.fromisoformat, default=datetime.now(UTC))
    parser.add_argument("--all", action="store_true", help="whether it is necessary or not")
    options = parser.parse_args()
    repository = Repository(options.to)
    revisions = released_in(repository.tags())
    due = []
    for version in supported(dates(), options.now.date()):
        if version not in revisions:
            continue  # the tag exists without images: the release is still to come
        tag = immutable_tags(version, revisions[version], "ubuntu")[0]
        why = "asked for" if options.all else reason(repository, tag, options.runner, options.now)
        if why:
            due.append({"version": str(version), "tag": f"v{version}", "why": why})
    print(json.dumps(due))


def supported(released: dict[Version, date], today: date) -> list[Version]:
    """Return the supported versions among all releases with their dates, the newest first."""
    last: dict[tuple[int, int], Version] = {}
    began: dict[tuple[int, int], date] = {}
    for version in sorted(version for version in released if version.candidate is None):
        minor = version.major, version.minor
        last[minor] = version
        began[minor] = min(released[version], began.get(minor, date.max))
    minors = sorted(last, reverse=True)
    found = [last[minor] for minor in minors[:1]]
    for later, minor in pairwise(minors):
        is_last_of_major = minor[0] != later[0]
        if minor[0] < minors[0][0] - 1 or (later != minors[0] and not is_last_of_major):
            continue
        if today <= began[later] + (MAJOR if is_last_of_major else MINOR):
            found.append(last[minor])
    return found


def reason(repository: Repository, tag: str, runner: str | None, now: datetime) -> str:
    """Return why an image has to be built again; "" if it need not be."""
    image = repository.image(tag)
    labels = image.get("Labels") or {}
    has = labels.get(RUNNER, "")
    if runner and has != runner:
        return f"runner {runner} instead of {has or 'an unknown one'}"
    # Python's parser does not take the nanoseconds, which do not matter here.
    created = datetime.fromisoformat(str(image["Created"])[:19]).replace(tzinfo=UTC)
    return f"built on {created:%Y-%m-%d}" if now - created >= WEEK else ""


def dates() -> dict[Version, date]:
    """Return the date of every version that has a tag in git."""
    lines = git("tag", "--list", "v*", "--format=%(refname:short) %(creatordate:short)")
    days = dict(line.split() for line in lines.splitlines())
    return {version: date.fromisoformat(days[f"v{version}"]) for version in parse_all(days)}


if __name__ == "__main__":
    run(main)
