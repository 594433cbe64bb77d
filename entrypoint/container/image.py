"""Which release of GitHub's runner the image contains, as its build has written it down.

The build step is image/install-runner.
"""

from __future__ import annotations

RELEASE = "/etc/gh-runner-release"
_NAMES = ("RUNNER_VERSION", "RUNNER_RELEASED")


def release(path: str = RELEASE) -> dict[str, str]:
    """Return version and day of the release, by variable; empty if the build left no such file."""
    try:
        with open(path, encoding="ascii") as file:
            lines = [line.strip().partition("=") for line in file]
    except (OSError, ValueError):
        return {}
    return {name: value for name, _, value in lines if name in _NAMES and value}
