"""`exec` loads nothing that a bare Python does not load as well."""

import subprocess
import sys

import pytest

from simulator.container import NAMESPACE

PYTHON = [sys.executable, "-I", "-X", "importtime"]
OURS = {"entrypoint", "entrypoint.init", "__future__", "errno", "gc"}
OURS |= {f"entrypoint.init.{name}" for name in ("child", "command", "pid1", "processes", "signals")}
# os.wait4 imports it when the command has ended: a tenth of a millisecond, which delays nothing.
OURS |= {"resource"}
SUBREAPER = {"ctypes", "ctypes._endian", "_ctypes", "struct", "_struct"}  # for prctl(2)


def imported(*command: str) -> set[str]:
    """Return the modules that a program imports."""
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stderr.splitlines()
    return {line.rpartition("|")[2].strip() for line in lines if line.startswith("import time:")}


@pytest.mark.parametrize(("namespace", "more"), [(NAMESPACE, set()), ([], SUBREAPER)])
def test_exec_imports_next_to_nothing(namespace: list[str], more: set[str]) -> None:
    """The start of a command waits for no library, not even a heavy standard one."""
    bare = imported(*PYTHON, "-c", "import runpy")
    loaded = imported(*namespace, *PYTHON, "-m", "entrypoint", "exec", "true")
    assert loaded - bare - OURS - more == set()
