"""How a step fails."""

from __future__ import annotations


class Problem(Exception):
    """A failure in one sentence, and what to do about it.

    `title` is the input to blame, or what failed; it is the title of the annotation.
    """

    def __init__(self, title: str, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.title = title
        self.message = message
        self.remedy = remedy

    def text(self) -> str:
        """The message and the remedy, each on a line."""
        return "\n".join(filter(None, [self.message, self.remedy]))


class Stopped(Exception):
    """The step was cancelled."""
