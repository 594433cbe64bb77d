"""Moves a tag for users of the action, such as v1, to a release of that major version.

Usage: python3 -m release.action VERSION

The tag moves only to the newest of them: a fix of 1.2 beside 1.3 moves nothing. The version's own
tag exists already, and is never changed. Needs git, with all tags, and the right to push to
`origin`.
"""

from __future__ import annotations

import argparse

from release.errors import run
from release.git import git, newest
from release.versions import Version


def main() -> None:
    """Read the command line, and move the tag."""
    parser = argparse.ArgumentParser(prog="python3 -m release.action")
    parser.add_argument("version")
    version = Version.parse(parser.parse_args().version)
    tag = f"v{version.major}"
    if version != (last := newest(version.major)):
        print(f"{tag} stays at v{last}" if last else f"{version} is no release")
        return
    git("tag", "--force", tag, f"v{version}^{{commit}}")
    git("push", "--quiet", "--force", "origin", f"refs/tags/{tag}")
    print(f"{tag} is v{version}")


if __name__ == "__main__":
    run(main)
