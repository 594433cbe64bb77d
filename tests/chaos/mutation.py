"""Copies of the package with one promise broken on purpose: chaos has to notice."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.chaos.live import PROJECT
from tests.support.life import directory


@dataclass(frozen=True)
class Mutation:
    """In one module, one piece of text is replaced."""

    module: str
    old: str
    new: str


@contextmanager
def mutated(mutation: Mutation) -> Iterator[Path]:
    """A directory with a copy of the package in which the text, found exactly once, is replaced."""
    with directory() as copy:
        package = shutil.copytree(
            PROJECT / "entrypoint",
            copy / "entrypoint",
            ignore=shutil.ignore_patterns("__pycache__"),
        )
        module = package / mutation.module
        text = module.read_text()
        if text.count(mutation.old) != 1:
            raise LookupError(f"{mutation.module} must hold exactly once: {mutation.old!r}")
        module.write_text(text.replace(mutation.old, mutation.new))
        yield copy
