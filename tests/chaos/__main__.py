"""`make chaos`: N lives from SEED on; exit code 1 if one goes wrong.

PHASE=… keeps to one phase, SLOTS=… says how many live at a time, SOURCE=… is the directory of
another copy of the package.
"""

import os
import sys
from pathlib import Path

from tests.chaos import crowd, phases
from tests.chaos.live import PROJECT
from tests.chaos.story import Story

DOTS_PER_LINE = 100


def main() -> int:
    """Live them all, print those that went wrong and the summary."""
    count, seed = int(os.environ.get("N") or 200), int(os.environ.get("SEED") or 0)
    phase = os.environ.get("PHASE", "")
    told = 0

    def tell(story: Story, complaints: list[str]) -> None:
        nonlocal told
        told += 1
        end = "\n" if told % DOTS_PER_LINE == 0 else ""
        print("F" if complaints else ".", end=end, flush=True)
        if complaints:
            print("\n" + crowd.describe(story, complaints), flush=True)

    plans = [phases.make(seed + number, phase) for number in range(count)]
    slots, source = int(os.environ.get("SLOTS") or 0), Path(os.environ.get("SOURCE") or PROJECT)
    result = crowd.live_all(plans, source=source, slots=slots, tell=tell)
    print("\n" + crowd.summary(result))
    return 1 if result.failed else 0


if __name__ == "__main__":
    sys.exit(main())
