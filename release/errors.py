"""How every command of `release` ends when it fails."""

from __future__ import annotations

import sys
from collections.abc import Callable


class Refusal(Exception):
    """Why the command fails, worded for a reader of the workflow's log."""


def run(main: Callable[[], None]) -> None:
    """Run a command; a Refusal becomes one line on stderr and exit code 1."""
    try:
        main()
    except Refusal as refusal:
        name = sys.argv[0].rpartition("/")[2].removesuffix(".py")
        print(f"{name}: {' '.join(str(refusal).split())}", file=sys.stderr)
        sys.exit(1)
