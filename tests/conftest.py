"""What all tests share: a simulator for the session, reset for each test, and lives on it."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from simulator import Simulator
from tests.support.life import Life, directory

# A shell starts background commands with SIGINT ignored, and each runner would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

pytest_plugins = ["pytester", "tests.support.no_skips", "tests.support.side_by_side"]


@pytest.fixture(scope="session")
def simulator_of_session() -> Iterator[Simulator]:
    """Start the stand-in for GitHub once."""
    with Simulator() as simulator:
        yield simulator


@pytest.fixture
def simulator(simulator_of_session: Simulator) -> Simulator:
    """Return the stand-in for GitHub as if it had just been started."""
    simulator_of_session.reset()
    return simulator_of_session


@pytest.fixture
def new_life(simulator: Simulator) -> Iterator[Callable[..., Life]]:
    """Return a maker of lives, each with a runner of its own; keywords go to that runner."""
    with ExitStack() as exits:

        def make(**options: Any) -> Life:
            life = Life(simulator, exits.enter_context(directory()), **options)
            exits.callback(lambda: sys.stdout.write(life.output))
            exits.callback(life.end)
            return life

        yield make


@pytest.fixture
def life(new_life: Callable[..., Life]) -> Life:
    """Return one life of a runner without start-up times."""
    return new_life()
