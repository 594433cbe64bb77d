"""Lives with short time-outs: the product's own ones would take a test minutes."""

from __future__ import annotations

from tests.support import mutants
from tests.support.life import Life

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
    changes = [mutants.constant(f"hangs.{n}", t) for n, t in {**SHORT, **times}.items()]
    changes.append(mutants.constant("remove._LOOK_TIMEOUT", "1.0"))
    life.program = mutants.mutated(life.directory, *changes)
    return life
