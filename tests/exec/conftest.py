"""Fixtures for the tests of `exec`."""

from collections.abc import Callable, Iterator

import pytest

from tests.exec.harness import Exec, starter

Start = Callable[..., Exec]


@pytest.fixture(params=["pid-1", "subreaper"])
def start(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """Start `exec` with some arguments, once as PID 1 and once below another PID 1."""
    monkeypatch.delenv("DUMB_INIT_SETSID", raising=False)
    monkeypatch.delenv("DUMB_INIT_DEBUG", raising=False)
    with starter(request.param == "pid-1") as function:
        yield function
