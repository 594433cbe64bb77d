"""What PID 1 knows of one life: the settings that it acts on, and what was found out from them all.

A child reads and checks the settings (lifecycle/prepare_child.py), and PID 1 gets plain values. So
PID 1 does not load what reads, checks and explains settings: 1 MB for as long as the runner waits.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any


class Plan:
    """The plan of one life. A field that has the name of a setting is that setting."""

    registration: str
    labels: tuple[str, ...]
    ephemeral: bool
    home: str
    version: str
    engine: str
    engine_cleanup: bool
    log_format: str
    log_level: str
    stop_timeout: float
    cancel_timeout: float
    drain_timeout: float
    idle_timeout: float
    job_timeout: float
    failure_pause: float
    watchdog: float
    max_restarts: int
    metrics_file: str
    state_dir: str
    stop_file: str
    github_timeout: float

    settings: dict[str, Any]  # all of them, for `Settings(**plan.settings)` in a child
    name: str  # of the runner
    target: str  # the list of runners, in words
    target_path: str  # that list in GitHub's API
    workdir_path: str
    uid: int  # of the runner's user
    gid: int
    as_runner: list[str]  # what stands before a command that runs as that user
    runner_environment: dict[str, str]  # of GitHub's programs, and so of each job
    engine_environment: dict[str, str]
    engine_kind: str  # see engine_choice.py
    engine_why: str
    engine_warnings: list[str]
    hook: str  # the script of the job-started hook; "" if no job has to ask
    stop_digest: str  # of RUNNER_STOP_SECRET

    def __init__(self, values: Mapping[str, Any]) -> None:
        """Take the value of each field."""
        vars(self).update(values)
