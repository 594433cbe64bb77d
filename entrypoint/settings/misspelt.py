"""Unknown variables with a name that is close to one of ours: perhaps the operator misspelt it.

A guess is only a note, because the variable may belong to another program. It is an error in two
cases: a setting that is needed is missing, or the runner would serve more than the name says.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from entrypoint.settings.schema import ours

# Variables that GitHub documents for jobs or for its runner. They are not ours, and not misspelt.
_THEIRS = {
    "GITHUB_ACTION", "GITHUB_ACTION_PATH", "GITHUB_ACTION_REF", "GITHUB_ACTION_REPOSITORY",
    "GITHUB_ACTIONS", "GITHUB_ACTOR", "GITHUB_ACTOR_ID", "GITHUB_BASE_REF", "GITHUB_ENV",
    "GITHUB_EVENT_NAME", "GITHUB_EVENT_PATH", "GITHUB_GRAPHQL_URL", "GITHUB_HEAD_REF",
    "GITHUB_JOB", "GITHUB_OUTPUT", "GITHUB_PATH", "GITHUB_REF", "GITHUB_REF_NAME",
    "GITHUB_REF_PROTECTED", "GITHUB_REF_TYPE", "GITHUB_REPOSITORY_ID", "GITHUB_REPOSITORY_OWNER",
    "GITHUB_REPOSITORY_OWNER_ID", "GITHUB_RETENTION_DAYS", "GITHUB_RUN_ATTEMPT", "GITHUB_RUN_ID",
    "GITHUB_RUN_NUMBER", "GITHUB_SERVER_URL", "GITHUB_SHA", "GITHUB_STATE", "GITHUB_STEP_SUMMARY",
    "GITHUB_TOKEN", "GITHUB_TRIGGERING_ACTOR", "GITHUB_WORKFLOW", "GITHUB_WORKFLOW_REF",
    "GITHUB_WORKFLOW_SHA", "GITHUB_WORKSPACE",
    "RUNNER_ALLOW_RUNASROOT", "RUNNER_ARCH", "RUNNER_DEBUG", "RUNNER_ENVIRONMENT",
    "RUNNER_MANUALLY_TRAP_SIG", "RUNNER_OS", "RUNNER_TEMP", "RUNNER_TOOL_CACHE",
    "RUNNER_TRACKING_ID", "RUNNER_UPDATE_CA_CERTS", "RUNNER_WAIT_FOR_DOCKER_IN_SECONDS",
    "RUNNER_WORKSPACE",
}  # fmt: skip
# Variables that Kubernetes sets in each pod for each Service, and Docker for links: GITHUB_PORT, …
_SERVICE = re.compile(
    r".+_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)"
)
# Names that other programs use, and common guesses, by the variable of ours that they stand for.
_MEANT = {
    "GITHUB_REPOSITORY": re.compile(
        r"(GITHUB|GH|RUNNER|GITHUB_RUNNER)_REPO(S|SITORIES|SITORY)?(_(NAME|SLUG|URL|FULL_NAME))?"
    ),
    "RUNNER_GROUP": re.compile(r"(GITHUB_)?RUNNER_?GROUPS?(_?NAME)?|GITHUB_GROUP"),
    "GITHUB_OWNER": re.compile(
        r"(GITHUB|GH|RUNNER|GITHUB_RUNNER)_(ORGS?|ORGANI[SZ]ATIONS?|OWNER|USER|ACCOUNT)"
        r"(_(NAME|SLUG|URL))?"
    ),
    "GITHUB_PERSONAL_TOKEN": re.compile(
        r"(GITHUB|GH|GITHUB_RUNNER)_(PAT|(API_|AUTH_|ACCESS_|PERSONAL_|PERSONAL_ACCESS_)?TOKEN)"
        r"(_FILE|_PATH)?"
    ),
}
_NARROWING = ("GITHUB_REPOSITORY", "RUNNER_GROUP", "GITHUB_OWNER")
# Variables that jobs may need: GitHub's command line reads some (`gh help environment`).
_OF_JOBS = {"GITHUB_TOKEN", "GITHUB_USER", "GH_REPO", "GH_TOKEN", "GH_USER"}


class Guess(NamedTuple):
    """A variable that is not ours, and the one of ours that may be meant."""

    variable: str
    meant: str
    narrows: bool  # whether it would limit what the runner serves
    of_jobs: bool = False  # whether a job may need it, so that it alone proves no mistake

    @property
    def question(self) -> str:
        """The sentence for an operator."""
        return f"{self.variable}: is not known, did you mean {self.meant}?"


def guesses(given: Mapping[str, str]) -> list[Guess]:
    """Return a guess for each unknown name with a value that is close to one of ours."""
    names = ours()
    found = []
    for variable in sorted(name for name, value in given.items() if value):
        if variable in names or (variable in _THEIRS and variable not in _OF_JOBS):
            continue
        if meant := _meant(variable.strip().upper(), names):
            is_of_jobs = variable in _OF_JOBS
            found.append(Guess(variable, meant, meant in _NARROWING and not is_of_jobs, is_of_jobs))
    return found


def _meant(variable: str, names: set[str]) -> str:
    """Return the variable of ours that a name in capitals stands for, or is close to; or ""."""
    if variable in names:  # it was written in small letters, or with a space
        return variable
    if variable in _THEIRS - _OF_JOBS or _SERVICE.fullmatch(variable):
        return ""
    if found := next((name for name, form in _MEANT.items() if form.fullmatch(variable)), ""):
        return found
    return _close(variable, names) if variable.startswith(("RUNNER", "GITHUB_")) else ""


def _close(variable: str, names: set[str]) -> str:
    import difflib  # only here, because most containers have no unknown name

    return next(iter(difflib.get_close_matches(variable, names, n=1, cutoff=0.8)), "")
