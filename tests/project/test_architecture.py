"""docs/architecture.md shows the packages and files that there are."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/architecture.md").read_text()


def floors() -> list[set[str]]:
    """The floors of import-linter's contract, from the top."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    layers = next(c["layers"] for c in contracts["contracts"] if c["type"] == "layers")
    return [{name.strip() for name in layer.split("|")} for layer in layers]


def test_arrows_go_down() -> None:
    """Each arrow of the first picture leads to a lower floor of the contract."""
    floor = {name: number for number, names in enumerate(floors()) for name in names}
    floor["main"] = floor["__main__"]
    picture = PAGE.partition("```mermaid")[2].partition("```")[0]
    arrows = re.findall(r"^ +(\w+)(?:\[.*\])? --> (\w+)$", picture, re.MULTILINE)
    assert len(arrows) > 8
    assert [pair for pair in arrows if floor[pair[0]] >= floor[pair[1]]] == []


def test_every_package_is_shown() -> None:
    """The table has each package, and no other."""
    folders = {path.parent.name for path in (ROOT / "entrypoint").glob("*/__init__.py")}
    assert set(re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE)) == folders


def test_files_exist() -> None:
    """Each file that the page names is there."""
    named = re.findall(r"`([a-z_]+/[a-z_0-9]+\.py)`", PAGE)
    assert len(named) > 10
    assert [name for name in named if not (ROOT / "entrypoint" / name).exists()] == []
