"""`make chaos`: live N lives from SEED on; the exit code is 1 if one goes wrong.

PHASE=… keeps to one phase; PHASE=window spreads N stops over the time around a job's arrival.
SLOTS=… is the number of lives at a time. SOURCE=… is the directory of another copy of the package.
"""

import os
import sys
from pathlib import Path

from tests.chaos import crowd, phases, report
from tests.chaos.live import PROJECT
from tests.chaos.plan import Plan
from tests.chaos.story import Story

DOTS_PER_LINE = 100


def main() -> int:
    """Live all lives, and print those that went wrong and the summary."""
    told = 0

    def tell(story: Story, complaints: list[str]) -> None:
        nonlocal told
        told += 1
        end = "\n" if told % DOTS_PER_LINE == 0 else ""
        print("F" if complaints else ".", end=end, flush=True)
        if complaints:
            print("\n" + report.describe(story, complaints), flush=True)

    source = Path(os.environ.get("SOURCE") or PROJECT)
    with crowd.started(int(os.environ.get("SLOTS") or 0)) as simulators:
        result = crowd.live_all(plans(), simulators, source=source, tell=tell)
    print("\n" + report.summary(result))
    return 1 if result.failed else 0


def plans() -> list[Plan]:
    """Return the plans that the environment asks for."""
    count, seed = int(os.environ.get("N") or 200), int(os.environ.get("SEED") or 0)
    phase = os.environ.get("PHASE", "")
    return [phases.make(number, phase) for number in range(seed, seed + count)]


if __name__ == "__main__":
    sys.exit(main())
