"""The notes of a version, from CHANGELOG.md.

Usage: python3 -m release.changelog VERSION --repository OWNER/NAME --image REPOSITORY

Prints the section `## [VERSION]`, and below it the names of the images and how to verify them, for
the repository that publishes them. A version without notes is refused.
"""

from __future__ import annotations

import argparse
import re
import shlex
from pathlib import Path

from release.errors import Refusal, run
from release.owner import filled_in
from release.signature import verify_command
from release.versions import Version

CHANGELOG = Path("CHANGELOG.md")
_HEADING = re.compile(r"^## \[([^\]]+)\].*$", re.MULTILINE)


def main() -> None:
    """Read the command line, and print."""
    parser = argparse.ArgumentParser(prog="python3 -m release.changelog")
    parser.add_argument("version", type=str)
    parser.add_argument("--repository", required=True, help="OWNER/NAME on GitHub")
    parser.add_argument("--image", required=True, help="the users' repository of images")
    options = parser.parse_args()
    version = Version.parse(options.version)
    print(filled_in(notes(CHANGELOG.read_text(), version), options.repository))
    print(names(version, options.image, options.repository))


def notes(changelog: str, version: Version) -> str:
    """Return the notes of a version; raise a Refusal if there are none."""
    parts = _HEADING.split(changelog)
    sections = dict(zip(parts[1::2], parts[2::2], strict=True))
    found = sections.get(str(version), "").strip()
    if not found:
        raise Refusal(f"{CHANGELOG} has nothing under '## [{version}]'")
    return found


def names(version: Version, image: str, repository: str) -> str:
    """Return the names of the images, and the command that verifies one."""
    command = shlex.join(verify_command(f"{image}:{version}", repository))
    return f"""
### Images

`{image}:{version}` is Ubuntu with everything; `{version}-ubuntu-slim`, `{version}-fedora` and \
`{version}-fedora-slim` are the other ones, for amd64 and arm64 each. Before you run one:

    {command}
"""


if __name__ == "__main__":
    run(main)
