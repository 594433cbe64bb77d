"""The start of the program, before any subcommand."""

import subprocess
import sys

UNEXPECTED = """
from entrypoint import __main__ as program
program.main = lambda: 1 / 0
raise SystemExit(program.exit_code())
"""


def test_an_exception_that_nobody_expects_is_a_defect() -> None:
    """After an exception the exit code is 70, not Python's 1, which is not in our table."""
    done = subprocess.run(
        [sys.executable, "-c", UNEXPECTED], capture_output=True, text=True, check=False
    )
    assert done.returncode == 70
    assert "ZeroDivisionError" in done.stderr
