"""The promises that the source itself makes: one home for each thing, self-contained."""

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODULES = sorted((ROOT / "entrypoint").rglob("*.py"))
TEST_MODULES = sorted((ROOT / "tests").rglob("test_*.py"))

Function = ast.FunctionDef | ast.AsyncFunctionDef


def nodes(path: Path) -> Iterator[ast.AST]:
    """Every node of a module's syntax tree."""
    return ast.walk(ast.parse(path.read_text(), str(path)))


def functions(path: Path) -> Iterator[Function]:
    """Every function and method of a module, nested ones too."""
    return (node for node in nodes(path) if isinstance(node, Function))


def names_used(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the line and the dotted name of each import and of each attribute of a plain name."""
    for node in nodes(path):
        match node:
            case ast.Import(names=names):
                yield from ((node.lineno, alias.name) for alias in names)
            case ast.ImportFrom(module=str(module), names=names):
                yield from ((node.lineno, f"{module}.{alias.name}") for alias in names)
            case ast.Attribute(value=ast.Name(id=owner), attr=attribute):
                yield node.lineno, f"{owner}.{attribute}"


def users_of(pattern: str, *, but: set[str]) -> list[str]:
    """Return the places, outside of the modules `but`, of names that fit the pattern as a whole."""
    return [
        f"{path.relative_to(ROOT)}:{line}: {name}"
        for path in MODULES
        if path.name not in but
        for line, name in names_used(path)
        if re.fullmatch(pattern, name)
    ]


def test_only_init_handles_signals_and_waits() -> None:
    """Signals and the reaping of children have one home, so that no two reapers compete.

    signals.py is what pid1.py and child.py share: masks, dispositions and names.
    """
    assert users_of(r"_?signal(\..*)?", but={"pid1.py", "signals.py"}) == []
    assert users_of(r"os\.wait.*", but={"pid1.py"}) == []


def test_environment_is_read_in_few_places() -> None:
    """All other modules get settings as values, and read no environment.

    command.py is a program of its own, which takes dumb-init's variables.
    """
    homes = {"schema.py", "vault.py", "pid1.py", "command.py", "__main__.py"}
    assert users_of(r"os\.(environb?|getenvb?|putenv|unsetenv)(\..*)?", but=homes) == []


@pytest.mark.parametrize("path", TEST_MODULES, ids=lambda path: path.name)
def test_tests_say_what_they_prove(path: Path) -> None:
    """Each test states in a sentence what a user can rely on."""
    silent = [
        function.name
        for function in functions(path)
        if function.name.startswith("test_") and not ast.get_docstring(function)
    ]
    assert silent == []


def test_make_help_lists_every_target() -> None:
    """`make help` has a description for each target that a person may call."""
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z][a-z-]*):", makefile, re.MULTILINE))
    shown = subprocess.check_output(["make", "-s", "-C", ROOT, "help"], text=True)
    described = re.findall(r"^  ([a-z-]+) +\S", shown, re.MULTILINE)
    phony = re.findall(r"[a-z-]+", makefile.partition(".PHONY:")[2].partition("\n")[0])
    assert targets == set(described) == set(phony)


def test_repository_stands_alone() -> None:
    """No tracked text points to a place outside the repository."""
    outside = re.compile(rb"(?<![\w.~-])[/]work/|\.\./[s]hared")
    tracked = subprocess.check_output(["git", "-C", ROOT, "ls-files", "-z"], text=True)
    paths = [ROOT / name for name in tracked.split("\0") if name]
    assert [path for path in paths if path.is_file() and outside.search(path.read_bytes())] == []
