"""Lives with short time-outs: the product's own ones would take a test minutes."""

from __future__ import annotations

import atexit
from contextlib import ExitStack
from functools import cache

from tests.support import mutants
from tests.support.life import Life, directory

# In seconds, by the constants of lifecycle/hangs.py.
SHORT = {
    "START_TIME": "0.6",
    "LEASE": "2.0",
    "SECOND_LOOK": "0.2",
    "LONGEST_PAUSE": "0.5",
    "JOB_LOOK": "0.4",
    "BUSY_LOOK": "0.2",
    "LEAVE_TIME": "0.5",
    "INTERRUPT_TIME": "1.0",
}


def hurried(life: Life, **times: str) -> Life:
    """Return the life with short time-outs; keywords replace single ones."""
    life.program = _program(**{**SHORT, **times})
    return life


@cache  # nearly all lives have the same times
def _program(**times: str) -> list[str]:
    exits = ExitStack()
    atexit.register(exits.close)
    changes = [mutants.constant(f"hangs.{name}", seconds) for name, seconds in times.items()]
    changes.append(mutants.constant("remove._LOOK_TIMEOUT", "1.0"))
    return mutants.mutated(exits.enter_context(directory()), *changes)
