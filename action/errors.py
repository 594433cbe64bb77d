"""How a step fails."""

from __future__ import annotations


class Problem(Exception):
    """What went wrong, in one sentence, and what to do about it.

    `title` names the input that is to blame, or what failed; it heads the annotation.
    """

    def __init__(self, title: str, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.title = title
        self.message = message
        self.remedy = remedy

    def text(self) -> str:
        """The message and the remedy, a line each."""
        return "\n".join(filter(None, [self.message, self.remedy]))


class Stopped(Exception):
    """The step was cancelled."""
