"""A registry for all tests of a module, with a repository in it for each test."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from release.registry import Repository
from tests.release.registry import push, registry

FIRST = ("ubuntu",)  # enough for most tests: the flavour that has the plain names as well
TWO = (*FIRST, "fedora-slim")

_numbers = itertools.count()


@pytest.fixture(scope="session")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a registry."""
    for program in ("docker-registry", "skopeo"):
        if shutil.which(program) is None:
            pytest.skip(f"needs {program}: make deps")
    with registry(tmp_path_factory.mktemp("registry")) as found:
        yield found


@pytest.fixture
def users(address: str) -> Repository:
    """The repository that users pull from; it exists once something is pushed."""
    return Repository(f"{address}/acme/gh-runner-{next(_numbers)}")


Build = Callable[..., dict[str, str]]


@pytest.fixture
def build(users: Repository, tmp_path: Path) -> Build:
    """Push a build of some flavours where the workflow does; return the digests."""

    def built(key: str, *flavours: str, without: str = "", **about: Any) -> dict[str, str]:
        def put(name: str) -> str:
            target = f"{users.name}-build:{key}-{name}"
            return push(tmp_path / f"{key}-{name}", target, f"{key} {name}", **about)

        names = [prefix + flavour for prefix in ("", "base-") for flavour in flavours or FIRST]
        names = [name for name in names if name != without]
        with ThreadPoolExecutor() as threads:
            return dict(zip(names, threads.map(put, names), strict=True))

    return built
