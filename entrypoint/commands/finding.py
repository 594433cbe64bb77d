"""The findings of `gh-runner check`: a line each, and the exit code that `run` would end with."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from entrypoint.errors import ExitCode, Failure


class Verdict(StrEnum):
    """How bad a finding is. A runner starts in spite of a warning."""

    FINE = "fine"
    WARNING = "warning"
    WRONG = "wrong"


@dataclass(frozen=True)
class Finding:
    """The outcome of one check."""

    check: str
    verdict: Verdict
    said: str
    remedy: str = ""
    code: ExitCode = ExitCode.DONE


def fine(check: str, said: str) -> Finding:
    """Make a finding about something that is right."""
    return Finding(check, Verdict.FINE, said)


def warning(check: str, said: str, remedy: str = "") -> Finding:
    """Make a finding about something that may cause trouble later; the runner would start."""
    return Finding(check, Verdict.WARNING, said, remedy)


def wrong(check: str, failure: Failure) -> Finding:
    """Make a finding from the Failure that `run` would end with."""
    return Finding(check, Verdict.WRONG, failure.message, failure.hint, failure.code)
