"""Says which figures have changed by more than 10 % since an earlier run of `make bench`.

Usage: python -m bench.compare BEFORE NOW, both written by `python -m bench --json FILE`. Machines
differ from run to run, so the ratio to the reference within each run is compared.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

LIMIT = 0.10  # of the earlier ratio


class Ratio(NamedTuple):
    """How one figure compares to the reference within its run."""

    measure: str
    name: str
    reference: str
    value: float


def ratios(figures: list[dict[str, Any]]) -> Iterator[Ratio]:
    """Yield the ratio of each figure that has one; what is 0 has none."""
    for table in figures:
        medians, reference = table["medians"], table["reference"]
        base = medians.get(reference)
        for name, median in medians.items():
            if base and median and name != reference:
                yield Ratio(table["measure"], name, reference, median / base)


def changes(before: list[Ratio], now: list[Ratio]) -> Iterator[str]:
    """Yield a sentence for each ratio that is new, gone, or changed by more than the limit."""
    earlier = {one[:3]: one.value for one in before}
    for one in now:
        value = earlier.pop(one[:3], None)
        where = f"{one.measure}: {one.name}"
        if value is None:
            yield f"{where}: is {one.value:.2f} of {one.reference}, and was not measured before"
        elif abs(one.value / value - 1) > LIMIT:
            yield (
                f"{where}: is {one.value:.2f} of {one.reference}, and was {value:.2f}"
                f" ({one.value / value - 1:+.0%})"
            )
    for measure, name, _ in earlier:
        yield f"{measure}: {name}: was measured before, and is not any more"


def read(path: Path) -> list[Ratio]:
    """Return the ratios in a file of figures. Raises OSError or ValueError if it is none."""
    try:
        return list(ratios(json.loads(path.read_text())["figures"]))
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} holds no figures of `python -m bench --json`") from error


def main(argv: list[str]) -> int:
    """Print each change; without an earlier file say so. A change is no failure."""
    if len(argv) != 2:
        print("usage: python -m bench.compare BEFORE NOW", file=sys.stderr)
        return 2
    before, now = map(Path, argv)
    try:
        ratios_now = read(now)
        if not before.exists():
            print(f"there are no earlier figures in {before}")
            return 0
        found = list(changes(read(before), ratios_now))
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    # GitHub shows such a line at the top of the run.
    mark = "::warning title=make bench::" if os.environ.get("GITHUB_ACTIONS") else ""
    for change in found:
        print(f"{mark}{change}")
    print(f"{len(ratios_now)} figures compared, {len(found)} changed by more than {LIMIT:.0%}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
