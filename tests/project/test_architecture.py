"""docs/architecture.md shows the packages, imports, files and functions that there are."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "entrypoint"
PAGE = (ROOT / "docs/architecture.md").read_text()
PICTURE, PROCESSES = re.findall(r"```mermaid\n(.*?)```", PAGE, re.DOTALL)
# Mermaid takes a node that is called `call` for a call of a function, so it is `call_` there.
NODES = re.findall(r"^ +(\w+)(?:\[.*\])? --> (\w+)$", PICTURE, re.MULTILINE)
ARROWS = [(above.rstrip("_"), below.rstrip("_")) for above, below in NODES]


def floors() -> list[set[str]]:
    """Return the floors of import-linter's contract, from the top."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    layers = next(c["layers"] for c in contracts["contracts"] if c["type"] == "layers")
    return [{name.strip() for name in layer.split("|")} for layer in layers]


def modules(name: str) -> list[Path]:
    """Return the files of a package, or the file of a module, of the uppermost level."""
    return sorted((SOURCE / name).glob("*.py")) or [SOURCE / f"{name}.py"]


def imports(name: str, imported: str) -> bool:
    """Return whether any module of one package imports another package or a part of it."""
    for path in modules(name):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.ImportFrom):
                continue
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            if any(f"{found}.".startswith(f"entrypoint.{imported}.") for found in names):
                return True
    return False


def definitions(tree: ast.AST, name: str) -> Iterator[str]:
    """Yield the dotted names of all classes and functions below a name."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, (ast.ClassDef, ast.FunctionDef)):
            yield f"{name}.{node.name}"
            yield from definitions(node, f"{name}.{node.name}")
        else:
            yield from definitions(node, name)


def test_arrows_go_down() -> None:
    """Each arrow of the first picture leads to a lower floor of the contract."""
    floor = {name: number for number, names in enumerate(floors()) for name in names}
    floor["main"] = floor["__main__"]
    assert len(ARROWS) > 15
    assert [pair for pair in ARROWS if floor[pair[0]] >= floor[pair[1]]] == []


def test_arrows_are_imports() -> None:
    """For each arrow of the first picture there is an import in the source."""
    real = [(a if a != "main" else "__main__", b) for a, b in ARROWS]
    assert [pair for pair in real if not imports(*pair)] == []


def test_mermaid_knows_no_node_as_a_word_of_its_own() -> None:
    """GitHub shows "Syntax error" in place of a picture with such a node."""
    for picture in (PICTURE, PROCESSES):
        arrows = [line for line in picture.splitlines() if "--" in line or "-." in line]
        nodes = {word for line in arrows for word in re.findall(r"^ *(\w+)|(\w+)$", line)}
        assert not {"call", "click", "class", "end"} & {a or b for a, b in nodes}
        assert len(nodes) > 5


def test_every_floor_is_shown() -> None:
    """The first picture has each name of the contract."""
    assert [name for names in floors() for name in names if name not in PICTURE] == []


def test_every_package_is_shown() -> None:
    """The table has each package, and no other."""
    folders = {path.parent.name for path in SOURCE.glob("*/__init__.py")}
    assert set(re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE)) == folders


def test_every_child_is_shown() -> None:
    """The second picture has each module that runs in a child of PID 1, and no other."""
    children = {path.stem for path in SOURCE.glob("*/*_child.py")}
    assert set(re.findall(r"\w+_child", PROCESSES)) == children


def test_files_exist() -> None:
    """Each file that the page names exists."""
    named = re.findall(r"`([a-z_]+/[a-z_0-9]+\.py)`", PAGE)
    assert len(named) > 10
    assert [name for name in named if not (SOURCE / name).exists()] == []


def test_functions_exist() -> None:
    """Each function, method and class that the page names exists."""
    known = [
        found
        for path in SOURCE.rglob("*.py")
        for found in definitions(ast.parse(path.read_text()), path.stem)
    ]
    named = re.findall(r"`((?:[a-z_0-9]+\.)?[A-Z]\w+(?:\.\w+)?|[a-z_0-9]+\.[a-z_]+)`", PAGE)
    named = [name for name in named if not name.endswith(("_FILE", ".sh", ".py", ".toml"))]
    named = [name for name in named if not name.startswith("RUNNER_")]
    assert len(named) > 15
    assert [n for n in named if not any(f".{found}".endswith(f".{n}") for found in known)] == []
