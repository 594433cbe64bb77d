"""The runner's exit codes, what each means for its loop, and problems with options."""

from __future__ import annotations

import signal

DONE, VERSION, ENGINE, DEFECT, LEFT, RETRY, REFUSED, CONFIG = 0, 7, 69, 70, 74, 75, 77, 78
KILLED = 128 + signal.SIGKILL
STOPPED = {128 + signal.SIGINT, 128 + signal.SIGTERM}
CLIENT_FAILURES = {125, 126, 127}  # podman-run(1)
MEANINGS = {
    DONE: "it is done",
    VERSION: "GitHub no longer accepts the runner's version",
    ENGINE: "a container engine did not start",
    DEFECT: "a defect",
    LEFT: "the runner may still be registered",
    RETRY: "GitHub could not be reached or limits us",
    76: "the runner failed before a job",
    REFUSED: "GitHub refuses the credential",
    CONFIG: "the settings are wrong",
    125: "podman could not start it",
    126: "its first program could not be run",
    127: "its first program was not found",
    KILLED: "it was killed",
    **dict.fromkeys(STOPPED, "it was stopped"),
}


class Problem(ValueError):
    """One mistake in the options, worded for the user; it never contains a secret."""
