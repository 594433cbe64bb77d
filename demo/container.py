"""The container of the demo: its user, its namespace, its output."""

import getpass
import os
import subprocess
from pathlib import Path
from typing import IO

from simulator import container
from simulator.container import NAMESPACE, PROGRAM, USER

MAP_USER = ["--user", "--map-current-user"]


def runner_user() -> str:
    """Return the user that jobs run as: `nobody` if this is root, else the present user."""
    return USER if os.geteuid() == 0 else getpass.getuser()


def namespace() -> list[str]:
    """Return the command that makes a PID namespace; [] where the system forbids it."""
    own = NAMESPACE if os.geteuid() == 0 else [NAMESPACE[0], *MAP_USER, *NAMESPACE[1:]]
    try:
        allowed = subprocess.run([*own, "true"], check=False, capture_output=True).returncode == 0
    except OSError:
        allowed = False
    return own if allowed else []


class Container(container.Container):
    """The program while it runs. Its output goes into a file, so that it never waits."""

    def __init__(self, env_file: Path, output: Path) -> None:
        """Start the program with its env file; its state is beside its output, not in /run."""
        self._output: IO[str] = output.open("w+", encoding="utf-8", errors="replace")
        self._rest = ""
        env = {
            "PATH": os.environ["PATH"],
            "RUNNER_ENVFILE": str(env_file),
            # Not in the env file, where a health check would not find it.
            "RUNNER_STATE_DIR": str(output.parent / "state"),
        }
        with output.open("ab") as out:
            super().__init__(PROGRAM, env=env, namespace=namespace(), stdout=out, stderr=out)

    def lines(self) -> list[str]:
        """Return the lines that it has printed since the last call."""
        *whole, self._rest = (self._rest + self._output.read()).split("\n")
        return [line for line in whole if line.strip()]

    def end(self) -> None:
        """Kill every process that is left."""
        super().end()
        self._output.close()
