"""The env file of the demo: the sample of the project with the values of the simulator."""

import re
from collections.abc import Mapping
from pathlib import Path

SAMPLE = Path(__file__).resolve().parents[1] / ".env-example"


def fill(sample: str, values: Mapping[str, str]) -> str:
    """Return the sample with these values: in its lines where it has them, else at its end."""
    left = dict(values)

    def put(line: str) -> str:
        found = re.match(r"#?([A-Z_]+)=", line)
        value = left.pop(found[1], None) if found else None
        return line if found is None or value is None else f"{found[1]}={value}"

    lines = [put(line) for line in sample.splitlines()]
    return "\n".join([*lines, *(f"{name}={value}" for name, value in left.items()), ""])
