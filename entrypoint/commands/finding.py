"""What `gh-runner check` finds: one line each, with the exit code that `run` would end with."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from entrypoint.errors import ExitCode, Failure


class Verdict(StrEnum):
    """How bad a finding is; a warning does not keep a runner from starting."""

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
    """Tell what is as it should be."""
    return Finding(check, Verdict.FINE, said)


def warning(check: str, said: str, remedy: str = "") -> Finding:
    """Tell what does not keep a runner from starting, but may hurt later."""
    return Finding(check, Verdict.WARNING, said, remedy)


def wrong(check: str, failure: Failure) -> Finding:
    """Tell what `run` would end with."""
    return Finding(check, Verdict.WRONG, failure.message, failure.hint, failure.code)
