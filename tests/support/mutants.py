"""Copies of the package with something broken on purpose, which a test has to notice.

A change names a place and a pattern of code, so that it survives a move. A place is the end of a
dotted name: `Listener.kill_job`, `stopping.stop`, `init.signals`; "" is the whole package. A
pattern is Python, whose formatting does not count. In a pattern `...` stands for any expression,
and in a list of arguments or statements for any number of them.
"""

from __future__ import annotations

import ast
import os
import shutil
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from _pytest.mark import ParameterSet

PROJECT = Path(__file__).resolve().parents[2]
PACKAGE = PROJECT / "entrypoint"
# In the new code of a change this name stands for the code that is replaced.
OLD = "OLD"


@dataclass(frozen=True)
class Change:
    """In a place, code that fits `old` becomes `new`; if `old` is None, the whole body does."""

    place: str
    old: str | None
    new: str


def replace(place: str, old: str, new: str) -> Change:
    """Replace an expression or a statement that is in the place exactly once."""
    return Change(place, old, new)


def body(place: str, new: str) -> Change:
    """Replace the whole body of a function."""
    return Change(place, None, new)


def constant(name: str, value: str) -> Change:
    """Give a constant of a module another value; the module's name may come first."""
    *module, variable = name.split(".")
    return Change(".".join(module), f"{variable} = ...", f"{variable} = {value}")


def copy(directory: Path, *changes: Change) -> Path:
    """Copy the package with these changes, and return the directory that holds the copy.

    Raises a LookupError if a place or a pattern is not there exactly once.
    """
    mutant = directory / "mutant"
    # Only links, also to what Python has compiled: that is good for as long as the source's time
    # is the same. For a changed module Python puts a file in the place of the link.
    package = shutil.copytree(PACKAGE, mutant / PACKAGE.name, copy_function=os.symlink)
    for module, tree in changed(*changes).items():
        copied = package / module.relative_to(PACKAGE)
        copied.unlink()
        copied.write_text(ast.unparse(tree))
    return mutant


def program(directory: Path) -> list[str]:
    """Return the command line that starts the package in a directory, as the image starts it."""
    code = (
        f"import sys; sys.path.insert(0, {str(directory)!r});"
        f" from {PACKAGE.name}.__main__ import exit_code; sys.exit(exit_code())"
    )
    return ["/usr/bin/env", "--block-signal", sys.executable, "-I", "-c", code]


def mutated(directory: Path, *changes: Change) -> list[str]:
    """Copy the package with these changes, and return the command line that starts the copy."""
    return program(copy(directory, *changes))


def changed(*changes: Change, package: Path = PACKAGE) -> dict[Path, ast.Module]:
    """Return the modules that the changes concern, changed, without writing them."""
    modules: dict[Path, ast.Module] = {}
    for change in changes:
        path, tree = _change_once(change, package, modules)
        modules[path] = tree
    return modules


def sampled(names: Iterable[str]) -> list[ParameterSet]:
    """Return parameters for tests of mutants; all but the first are marked `exhaustive`.

    That each change fits its place is seen every day: tests/project/test_mutants.py.
    """
    first, *rest = names
    return [pytest.param(first), *(pytest.param(n, marks=pytest.mark.exhaustive) for n in rest)]


def changes_of(module: ModuleType) -> list[Change]:
    """Return all changes that the values of a module hold."""
    return list(_changes_in(list(vars(module).values())))


def _changes_in(thing: object) -> Iterator[Change]:
    if isinstance(thing, Change):
        yield thing
    elif isinstance(thing, dict | list | tuple):
        for part in thing.values() if isinstance(thing, dict) else thing:
            yield from _changes_in(part)


def _change_once(
    change: Change, package: Path, modules: dict[Path, ast.Module]
) -> tuple[Path, ast.Module]:
    found = []
    for path, name in _modules(package):
        text = path.read_text()
        if not all(part in text or part in name for part in change.place.split(".")):
            continue
        tree = modules.get(path) or ast.parse(text)
        replacer = _Replacer(change)
        replacer.go_through(tree, name)
        found += [(path, tree)] * replacer.count
    if len(found) != 1:
        raise LookupError(f"found {len(found)} times instead of once: {change}")
    return found[0]


class _Replacer(ast.NodeTransformer):
    """Replaces the code that fits in the places of one name, and counts how often."""

    def __init__(self, change: Change) -> None:
        self.count = 0
        self._place = change.place
        self._new = change.new
        self._old: ast.AST | None = None
        self._is_expression = False
        if change.old is not None:
            [self._old] = ast.parse(change.old).body
            new = ast.parse(change.new).body
            if isinstance(self._old, ast.Expr) and [type(s) for s in new] == [ast.Expr]:
                self._old, self._is_expression = self._old.value, True

    def go_through(self, tree: ast.AST, name: str) -> None:
        """Look for the place in a node with this dotted name."""
        if f".{name}".endswith(f".{self._place}") or not self._place:
            self._replace_in(tree)
            return
        for child in ast.iter_child_nodes(tree):
            if isinstance(child, ast.FunctionDef | ast.ClassDef):
                self.go_through(child, f"{name}.{child.name}")
            elif not isinstance(child, ast.expr):  # no expression has a function with a name
                self.go_through(child, name)

    def _replace_in(self, tree: ast.AST) -> None:
        if self._old is not None:
            self.generic_visit(tree)
        elif isinstance(tree, ast.FunctionDef):
            self.count += 1
            tree.body = self._statements(tree.body)

    def visit(self, node: ast.AST) -> Any:
        """Replace a node that fits; otherwise look into it."""
        assert self._old is not None
        if not _fits(self._old, node):
            return self.generic_visit(node)
        self.count += 1
        if not self._is_expression:
            assert isinstance(node, ast.stmt)
            return self._statements([node])
        assert isinstance(node, ast.expr)
        new = ast.parse(self._new, mode="eval")
        return _WithOld([ast.Expr(node)]).visit(new).body

    def _statements(self, old: list[ast.stmt]) -> list[ast.stmt]:
        new: ast.Module = _WithOld(old).visit(ast.parse(self._new))
        return new.body


class _WithOld(ast.NodeTransformer):
    """Puts the replaced code where the new code says OLD."""

    def __init__(self, old: list[ast.stmt]) -> None:
        self._old = old

    def visit_Expr(self, node: ast.Expr) -> Any:
        """Put in statements."""
        is_old = isinstance(node.value, ast.Name) and node.value.id == OLD
        return self._old if is_old else self.generic_visit(node)

    def visit_Name(self, node: ast.Name) -> ast.expr:
        """Put in an expression."""
        if node.id != OLD:
            return node
        [statement] = self._old
        assert isinstance(statement, ast.Expr), ast.unparse(statement)
        return statement.value


def _fits(pattern: object, code: object) -> bool:
    """Return whether code fits a pattern; position and context do not count."""
    if isinstance(pattern, list):
        return isinstance(code, list) and _all_fit(pattern, code)
    if isinstance(pattern, ast.AST):
        if _is_anything(pattern):
            return isinstance(code, ast.expr)
        ignored = {"ctx", "type_comment", "kind"}
        if isinstance(pattern, ast.Call) and any(map(_is_anything, pattern.args)):
            ignored.add("keywords")
        return type(pattern) is type(code) and all(
            name in ignored or _fits(value, getattr(code, name))
            for name, value in ast.iter_fields(pattern)
        )
    return bool(pattern == code)


def _all_fit(patterns: list[Any], codes: list[Any]) -> bool:
    if not patterns:
        return not codes
    first, *rest = patterns
    if _is_anything(first):
        return any(_all_fit(rest, codes[skipped:]) for skipped in range(len(codes) + 1))
    return bool(codes) and _fits(first, codes[0]) and _all_fit(rest, codes[1:])


def _is_anything(pattern: object) -> bool:
    if isinstance(pattern, ast.Expr):
        pattern = pattern.value
    return isinstance(pattern, ast.Constant) and pattern.value is Ellipsis


def _modules(package: Path) -> Iterator[tuple[Path, str]]:
    """Return the modules of the package with their dotted names."""
    for path in package.rglob("*.py"):
        yield path, ".".join(path.relative_to(package.parent).with_suffix("").parts)
