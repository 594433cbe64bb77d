"""Prints the newest release that has a tag in git, such as 1.2.3; nothing if there is none.

Usage: python3 -m release.newest
"""

from release.errors import run
from release.git import newest


def main() -> None:
    """Print it."""
    print(newest() or "")


if __name__ == "__main__":
    run(main)
