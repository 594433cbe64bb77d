"""The init reaps orphans, and does not take their ends for that of the command."""

import subprocess

import pytest

from simulator.container import children
from tests.exec.conftest import Start
from tests.exec.harness import victim, wait_until

ORPHAN = "(sh -c 'exit 9' &); echo 'ready (pid '; read line; exit 7"


@pytest.mark.parametrize("orphans", [1_000, pytest.param(10_000, marks=pytest.mark.exhaustive)])
def test_thousands_of_orphans(start: Start, orphans: int) -> None:
    """Orphans that have ended are gone while the command goes on; the code is the command's."""
    started = start("--", *victim("orphans", orphans))
    assert started.wait() == 7, started.stderr()


def test_an_orphan_s_end_is_not_the_command_s(start: Start) -> None:
    """An orphan that ends first does not end the container."""
    started = start("--", "sh", "-c", ORPHAN, stdin=subprocess.PIPE)
    started.ready()
    wait_until(lambda: len(children(started.pid)) == 1)
    started.process.stdin.close()  # type: ignore[union-attr]
    assert started.wait() == 7
