"""The framework of mutants finds code by names and patterns, also after it has moved."""

from __future__ import annotations

import ast
import importlib
import subprocess
from pathlib import Path

import pytest

from tests.support import mutants
from tests.support.mutants import Change, body, changed, changes_of, constant, copy, replace

TESTS = mutants.PROJECT / "tests"
# The modules of tests that break something on purpose.
BREAKING = sorted(
    ".".join(path.relative_to(mutants.PROJECT).with_suffix("").parts)
    for path in TESTS.rglob("test_*.py")
    if "tests.support.mutants" in path.read_text() and path != Path(__file__)
)


@pytest.mark.parametrize("module", BREAKING)
def test_every_change_finds_its_place(module: str) -> None:
    """After a move or a renaming this test says within a second which mutants must follow."""
    changes = changes_of(importlib.import_module(module))
    assert changes
    for change in changes:
        assert changed(change)


SOURCE = """\
LIMIT = 1.0


class Door:
    def shut(self, key, *, softly=False):
        if key:
            self.bolt(key, twice=True)
        self.bolt(None)


def shut(door):
    door.shut("key", softly=True)
"""


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A package of one small module."""
    (tmp_path / "house").mkdir()
    (tmp_path / "house/hall.py").write_text(SOURCE)
    return tmp_path / "house"


@pytest.mark.parametrize(
    ("change", "old", "new"),
    [
        (constant("LIMIT", "2.5"), "LIMIT = 1.0", "LIMIT = 2.5"),
        (replace("hall", "door.shut(...)", "None"), 'door.shut("key", softly=True)', "None"),
        (replace("hall.shut", "'key'", "OLD * 2"), '"key"', '"key" * 2'),
        (replace("Door", "if key: ...", "key()\nOLD"), "        if", "        key()\n        if"),
        (replace("", "self.bolt(key, ...)", "pass"), "self.bolt(key, twice=True)", "pass"),
        (body("hall.shut", "door.open()\nOLD"), "    door", "    door.open()\n    door"),
    ],
)
def test_change(package: Path, change: Change, old: str, new: str) -> None:
    """A pattern fits its code wherever it stands, with keywords in any order; OLD is that code."""
    [tree] = changed(change, package=package).values()
    assert ast.dump(tree) == ast.dump(ast.parse(SOURCE.replace(old, new)))


@pytest.mark.parametrize(
    ("change", "times"),
    [
        (replace("Door", "self.bolt(True)", "pass"), 0),
        (replace("Door", "self.bolt(...)", "pass"), 2),
        (body("window.shut", "pass"), 0),
        (body("shut", "pass"), 2),
    ],
)
def test_what_is_not_there_once(package: Path, change: Change, times: int) -> None:
    """A change that fits nowhere, or more than once, is an error that says how often it fits."""
    with pytest.raises(LookupError, match=f"found {times} times instead of once"):
        changed(change, package=package)


def test_copy_runs(tmp_path: Path) -> None:
    """A copy starts as the program does, with its changes."""
    directory = copy(tmp_path, body("entrypoint.__main__.main", "return 9"))
    assert subprocess.run(mutants.program(directory), check=False).returncode == 9
