"""The values that all parts of one step share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Mapping

from action.aws import Aws
from action.errors import Problem
from action.github import GitHub
from action.inputs import Inputs
from action.stop_signal import Stop
from action.workflow import Workflow


@dataclass(frozen=True)
class Step:
    """The inputs, and the clients of AWS and GitHub; `github` is None without a token."""

    inputs: Inputs
    environ: Mapping[str, str]
    workflow: Workflow
    stop: Stop
    aws: Aws
    github: GitHub | None

    @property
    def hub(self) -> GitHub:
        """The client of GitHub; Problem without a token."""
        if self.github is None:
            raise Problem("token", "It is needed for this.")
        return self.github

    @property
    def run_mark(self) -> str:
        """The beginning of `startedBy` of all tasks of this workflow run; a launch adds its own."""
        return f"gh-runner/{self.environ.get('GITHUB_RUN_ID') or '0'}/"
