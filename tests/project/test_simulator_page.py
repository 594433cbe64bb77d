"""The commands of docs/simulator.md work as they stand, and its tables are complete."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
from dataclasses import fields

from simulator.client import PROJECT
from simulator.hub.api import control
from simulator.hub.model import HANGS
from simulator.hub.world import Settings


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


PAGE = (PROJECT / "docs/simulator.md").read_text()


def test_a_whole_life_by_hand() -> None:
    """The page's commands, typed one after the other, end with a job that succeeded."""
    script = "\n".join(re.findall(r"```bash\n(.*?)```", PAGE, re.DOTALL))
    script = script.replace("$PWD/.venv/bin", f"{sys.prefix}/bin").replace("8099", str(free_port()))
    process = subprocess.Popen(
        ["bash", "-e", "-o", "pipefail", "-c", script],
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        output, _ = process.communicate(timeout=60)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    assert process.returncode == 0, output
    assert "hello from" in output


def test_tables_are_complete() -> None:
    """Every call, every hang and every setting is in its table."""
    calls = {route.path.removeprefix(control.PATH) for route in control.routes()}
    names = {*calls, *HANGS, *(field.name for field in fields(Settings))}
    told = set(re.findall(r"`([a-z_/-]+)`", PAGE)) | {"events"}
    assert names - told - {"ghes_version", "runner_version"} == set()
