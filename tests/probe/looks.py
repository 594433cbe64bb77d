"""What a look of the probe has given, and what of it is known."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tests.probe.needles import KEY_FILE, RUNNER_KEY

# The runner's own key and what it gets with it, which GitHub's runner cannot do without.
KNOWN = (KEY_FILE, "mem of Runner.Listener", "mem of Runner.Worker")

Finding = tuple[str, str]  # name and place


class Result:
    """What one look of the probe has given."""

    def __init__(self, line: str) -> None:
        told: dict[str, Any] = json.loads(line.removeprefix("PROBE "))
        self.uid: int = told["uid"]
        self.looked: dict[str, int] = told["looked"]
        self.found: set[Finding] = {(name, place) for name, _form, place in told["found"]}
        self.forms: set[tuple[str, str]] = {(name, form) for name, form, _place in told["found"]}
        self.began: float = told["began"]
        self.ended: float = told["ended"]

    @property
    def names(self) -> set[str]:
        """The secrets that were found."""
        return {name for name, _place in self.found}


def results(text: str) -> list[Result]:
    """The looks that are told of in a log."""
    return [Result(line) for line in text.splitlines() if line.startswith("PROBE ")]


def written(file: Path) -> list[Result]:
    """The looks that a probe has written into a file; it may be writing another one."""
    text, _, _incomplete = file.read_text().rpartition("\n")
    return results(text)


def unexpected(looks: Iterable[Result]) -> set[Finding]:
    """Return what was found beyond what the runner itself needs."""
    return {
        (name, place)
        for look in looks
        for name, place in look.found
        if name != RUNNER_KEY or not place.endswith(KNOWN)
    }
