"""Puts the owner's name into the documents in place of OWNER.

Usage: python3 -m release.owner OWNER/NAME [FILE...]

The documents and examples have ghcr.io/OWNER/gh-runner for images, and OWNER/gh-runner for the
repository and its action; a fork has other names. Changes the files in place, by default all in git
that have the placeholder, and prints their paths.
"""

from __future__ import annotations

import argparse
import re
import subprocess
from pathlib import Path

from release.errors import Refusal, run

PLACEHOLDER = re.compile(
    r"(?<![\w./-])((?:ghcr\.io/|(?:https://)?github\\?\.com/)?)OWNER/gh-runner\b"
)
_REPOSITORY = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*/[A-Za-z0-9._-]+")
# A workflow may not change workflows; tests and this package need the placeholder itself.
_EXCEPT = (":!.github", ":!tests", ":!release", ":!CHANGELOG.md")


def main() -> None:
    """Read the command line, and change the files."""
    parser = argparse.ArgumentParser(prog="python3 -m release.owner")
    parser.add_argument("repository", help="OWNER/NAME on GitHub")
    parser.add_argument("files", nargs="*", type=Path)
    options = parser.parse_args()
    for file in options.files or tracked():
        text = file.read_text()
        if (new := filled_in(text, options.repository)) != text:
            file.write_text(new)
            print(file)


def filled_in(text: str, repository: str) -> str:
    """Return a text with the owner in place of OWNER; names of images are in lower case."""
    if not _REPOSITORY.fullmatch(repository):
        raise Refusal(f"{repository!r} is no repository such as acme/gh-runner")

    def name(match: re.Match[str]) -> str:
        host = match.group(1)
        return host + (repository.lower() if host == "ghcr.io/" else repository)

    return PLACEHOLDER.sub(name, text)


def tracked() -> list[Path]:
    """Return the files in git that have the placeholder and that people read or copy."""
    command = ["git", "grep", "-lIz", "OWNER/gh-runner", "--", ".", *_EXCEPT]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return [Path(name) for name in done.stdout.split("\0") if name]


if __name__ == "__main__":
    run(main)
