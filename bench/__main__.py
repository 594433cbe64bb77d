"""Run all benchmarks, or those that are named: `make bench ARGS='init'`.

A benchmark is a module of this package with a function `run() -> None` that prints its tables. Its
name is in BENCHES.
"""

import importlib
import sys

BENCHES = ["init", "startup", "stop", "log"]


def main(names: list[str]) -> int:
    """Run the benchmarks of these names one after another, or all."""
    if unknown := set(names) - set(BENCHES):
        print(f"no such benchmark: {' '.join(sorted(unknown))}; there are: {' '.join(BENCHES)}")
        return 2
    for name in names or BENCHES:
        importlib.import_module(f"bench.{name}").run()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
