"""What the output of a config.sh that has failed means. PID 1 loads this only after a failure."""

from __future__ import annotations

import re

from entrypoint.errors import ExitCode, Failure

# What config.sh prints when GitHub refuses (actions/runner). Nothing is registered until it prints
# that the runner was added.
_REFUSED = re.compile(r"Http response code: (?:Unauthorized|Forbidden|NotFound) from 'POST ")
_ADDED = "Runner successfully added"
_NO_GROUP = re.compile(r'Could not find any self-hosted runner group named "([^"]*)"')
_HTTP = re.compile(r"Http response code: (\w+) from '([^']*)'")


def is_refused(output: str) -> bool:
    """Return whether GitHub has refused config.sh before the runner was registered."""
    return bool(_REFUSED.search(output)) and _ADDED not in output


def failure(outcome: int | None, output: str) -> Failure:
    """Return the Failure that the output of config.sh means; its banner is left out."""
    said = [line.strip() for line in output.splitlines() if re.search(r"[^\W_]", line)]
    said = [line for line in said if "Self-hosted runner registration" not in line]
    words = "\n".join(line for line in said if not line.startswith("#"))[-2000:]
    if named := _NO_GROUP.search(output):
        return Failure(
            ExitCode.CONFIG,
            f"RUNNER_GROUP: GitHub has no runner group {named[1]!r} that this list may use",
            "make it there, or give the name of one that is there; `gh-runner check` lists them",
        )
    if is_refused(output):
        return Failure(
            ExitCode.REFUSED,
            f"GitHub refused config.sh: {words}",
            "a registration token (RUNNER_TOKEN) is valid for an hour, and for the list of runners"
            " that it was made for; with a personal access token or an App each start asks for one",
        )
    told = "did not end" if outcome is None else f"ended with {outcome}"
    hint = (
        "GitHub or a proxy before it answered so; https://www.githubstatus.com tells of trouble"
        if _HTTP.search(output)
        else "these are the words of GitHub's own program"
    )
    return Failure(ExitCode.RUNNER, f"config.sh {told} and said:\n{words}", hint)
