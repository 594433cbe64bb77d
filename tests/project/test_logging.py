"""docs/logging.md lists the events: those of the code, and no others."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
EVENT = re.compile(r"`([a-z_]+\.[a-z_]+)`")


def said() -> set[str]:
    """Return the names of events in the code: the first argument of each call of the log."""
    found = set()
    for path in (ROOT / "entrypoint").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                values = [
                    *node.args[:1],
                    *(k.value for k in node.keywords if k.arg == "event_name"),
                ]
                names = [
                    n.value for v in values for n in ast.walk(v) if isinstance(n, ast.Constant)
                ]
                if isinstance(node.func, ast.Attribute) and (
                    ast.unparse(node.func.value) == "log"
                    or "event_name" in {k.arg for k in node.keywords}
                    or "_logger" in ast.unparse(node.func)
                ):
                    found |= {
                        n
                        for n in names
                        if isinstance(n, str) and re.fullmatch(r"[a-z_]+\.[a-z_]+", n)
                    }
    return found | {"runner.said"}


def test_events_are_documented() -> None:
    """The page has the name of each event, for people who write alerts, and no other name."""
    page = (ROOT / "docs/logging.md").read_text().partition("## Events")[2]
    assert set(EVENT.findall(page)) == said()
