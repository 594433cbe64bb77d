"""The results of a probe, and which of its findings are expected."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tests.probe.needles import KEY_FILE, RUNNER_KEY

# GitHub's runner needs its own key, and has it in these places.
KNOWN = (KEY_FILE, "mem of Runner.Listener", "mem of Runner.Worker")

Finding = tuple[str, str]  # name and place


class Result:
    """The result of one look of the probe."""

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
        """The names of the secrets that were found."""
        return {name for name, _place in self.found}


def results(text: str) -> list[Result]:
    """Return the looks that a log tells of."""
    return [Result(line) for line in text.splitlines() if line.startswith("PROBE ")]


def written(file: Path) -> list[Result]:
    """Return the complete looks in a file that a probe may be writing."""
    text, _, _incomplete = file.read_text().rpartition("\n")
    return results(text)


def unexpected(looks: Iterable[Result]) -> set[Finding]:
    """Return the findings beyond what the runner itself needs."""
    return {
        (name, place)
        for look in looks
        for name, place in look.found
        if name != RUNNER_KEY or not place.endswith(KNOWN)
    }
