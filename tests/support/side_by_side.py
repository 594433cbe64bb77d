"""A pytest plugin: how tests share the machine when several run at a time (`pytest -n auto`).

Every test has its own ports, namespaces and temporary folders, so that any two may run side by
side. Some need more. Tests that share what a fixture has made for their module run one after the
other in one worker, and so do those of all modules that have the same `TOGETHER = "name"`. A test
with `@pytest.mark.alone(reason=…)` runs while no other does.
"""

from __future__ import annotations

import fcntl
import gc
import os
import re
import tempfile
import zlib
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pytest
from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped] # no py.typed

# Most tests wait most of the time, because runners take as long as real ones.
WORKERS_PER_CORE = 3


@pytest.hookimpl(optionalhook=True, tryfirst=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Start no workers for a single file: each of them would first collect all tests."""
    files = {argument.partition("::")[0] for argument in config.args}
    if len(files) == 1 and Path(*files).is_file():
        return 0
    return WORKERS_PER_CORE * len(os.sched_getaffinity(0))


def pytest_configure(config: pytest.Config) -> None:
    """Declare the mark."""
    config.addinivalue_line("markers", "alone(reason): no other test may run at the same time")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mix the tests, which are the same for all workers, and put those that run alone last.

    Tests of one module often wait for the same thing. All workers would wait at the same time if
    they took such tests one after the other, and all cores would be idle.
    """
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: zlib.crc32(_scope(config, item.nodeid).encode()))
    items.sort(key=lambda item: item.get_closest_marker("alone") is not None)


def pytest_collection_finish() -> None:
    """Take what was collected out of garbage collection, which would look through all of it."""
    gc.freeze()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> LoadScopeScheduling:
    """Give out tests one by one, the largest modules that have to stay together first."""
    return _Scheduler(config, log)


class _Scheduler(LoadScopeScheduling):  # type: ignore[misc] # see the import
    def _split_scope(self, nodeid: str) -> str:
        return _scope(self.config, nodeid)


def _scope(config: pytest.Config, nodeid: str) -> str:
    """Return a name that a test has in common with all those that have to share its worker."""
    return _together(config.rootpath / nodeid.partition("::")[0]) or nodeid


@cache
def _together(path: Path) -> str:
    """Return the name of the tests that share a worker with those of a module; "" if none do."""
    text = path.read_text()
    if found := re.search(r'^TOGETHER = "(.+)"$', text, re.MULTILINE):
        return found[1]
    return str(path) if 'scope="module"' in text else ""


@pytest.hookimpl(wrapper=True, tryfirst=True)  # before the clock of pytest-timeout starts
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Hold the lock of this test run: together with other tests, or alone."""
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID")
    if run is None:  # one test after the other
        return (yield)
    with _locked(run, alone=item.get_closest_marker("alone") is not None):
        return (yield)


@contextmanager
def _locked(run: str, *, alone: bool) -> Iterator[None]:
    folder = Path(tempfile.gettempdir())
    # A test that waits to be alone keeps the gate closed, so that no other test begins.
    with (folder / f"{run}.gate").open("w") as gate, (folder / f"{run}.tests").open("w") as tests:
        fcntl.flock(gate, fcntl.LOCK_EX)
        fcntl.flock(tests, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        fcntl.flock(gate, fcntl.LOCK_UN)
        yield
