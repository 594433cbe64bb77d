"""The start of the program, as far as it needs no runner."""

import subprocess
import sys

UNEXPECTED = """
from entrypoint import __main__ as program
program.main = lambda: 1 / 0
raise SystemExit(program.exit_code())
"""


def test_an_exception_that_nobody_expects_is_a_defect() -> None:
    """The exit code is 70, not Python's 1, which the table of exit codes does not have."""
    done = subprocess.run(
        [sys.executable, "-c", UNEXPECTED], capture_output=True, text=True, check=False
    )
    assert done.returncode == 70
    assert "ZeroDivisionError" in done.stderr
