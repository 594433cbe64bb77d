"""Run all benchmarks, or those that are named: `make bench ARGS='init'`.

A benchmark is a module of this package with a function `run() -> None` that prints its tables. Its
name is in BENCHES. With `--json FILE` all figures are also written into a file: see compare.py.
"""

import argparse
import importlib
import json
import platform
import sys
from pathlib import Path

from bench import report

BENCHES = ["init", "startup", "side_by_side", "stop", "log"]


def main(argv: list[str]) -> int:
    """Run the benchmarks of these names one after another, or all."""
    parser = argparse.ArgumentParser(prog="bench", description="Measure what PID 1 costs.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(BENCHES))
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there, too")
    options = parser.parse_args(argv)
    if unknown := set(options.names) - set(BENCHES):
        parser.error(f"no such benchmark: {' '.join(sorted(unknown))}")
    for name in options.names or BENCHES:
        importlib.import_module(f"bench.{name}").run()
    if options.json:
        about = {"python": platform.python_version(), "machine": platform.machine()}
        options.json.write_text(json.dumps({**about, "figures": report.FIGURES}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
