"""Tables of results: medians with their spread, and ratios within one run.

All tables of a run are kept for a program that reads them (`FIGURES`): see compare.py.
"""

from __future__ import annotations

import datetime
import os
import platform
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

REFERENCE = "tini"
FIGURES: list[dict[str, Any]] = []  # of all tables so far


def header(title: str) -> None:
    """Print what was measured, where and when."""
    today = datetime.datetime.now(tz=datetime.UTC).date()
    print(f"\n{title}\n{today}, {os.cpu_count()} CPUs, Linux {platform.release()}, ", end="")
    print(f"Python {platform.python_version()}\n")


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the value that so many percent of the values do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


def table(
    measure: str, unit: str, results: Mapping[str, Sequence[float]], reference: str = REFERENCE
) -> None:
    """Print median, minimum, maximum, and the ratio of the medians to the reference."""
    medians = {name: statistics.median(values) for name, values in results.items()}
    base = medians.get(reference, 0)
    FIGURES.append({"measure": measure, "unit": unit, "reference": reference, "medians": medians})
    title, compared = f"{measure}, {unit}", f"to {reference}"
    print(f"| {title:<38} | median |    min |    max | {compared} |")
    print(f"|{'-' * 40}|-------:|-------:|-------:|{'-' * (len(compared) + 1)}:|")
    for name, values in results.items():
        ratio = f"{medians[name] / base:.2f}" if base else "-"
        figures = (medians[name], min(values), max(values))
        columns = " | ".join(f"{figure:6.{_digits(figure)}f}" for figure in figures)
        print(f"| {name:<38} | {columns} | {ratio:>{len(compared)}} |")
    print()


def _digits(figure: float) -> int:
    return 0 if figure >= 1000 or figure == int(figure) else 1
