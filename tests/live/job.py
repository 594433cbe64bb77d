"""`python -m tests.live.job LABEL KIND PREFIX` gives a job to a runner that runs elsewhere.

Ends with 0 once the job has succeeded and its runner, whose name begins with PREFIX, is off
GitHub's list. Environment: as `python -m tests.live`.
"""

from __future__ import annotations

import sys

from tests.live.github import from_environment
from tests.live.scenarios import wait_until


def main(label: str, kind: str, prefix: str) -> int:
    """Start the job, and wait for its end."""
    github = from_environment()
    github.dispatch(label, kind)
    wait_until("the job is over", lambda: github.job(label)[0] == "completed")
    conclusion = github.job(label)[1]
    sys.stdout.write(f"{label}: {conclusion}\n")
    wait_until(
        "the runner is off the list",
        lambda: not [name for name in github.runners() if name.startswith(prefix)],
    )
    return 0 if conclusion == "success" else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
