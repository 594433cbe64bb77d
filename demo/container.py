"""The demo's container: who its jobs run as, where it may be, and what it prints."""

import getpass
import os
import subprocess
from pathlib import Path
from typing import IO

from simulator import container
from simulator.container import NAMESPACE, PROGRAM, USER

MAP_USER = ["--user", "--map-current-user"]


def runner_user() -> str:
    """The user that the job runs as: one without rights if we are root, else we ourselves."""
    return USER if os.geteuid() == 0 else getpass.getuser()


def namespace() -> list[str]:
    """What puts a command into a PID namespace of its own; empty where that is not allowed."""
    own = NAMESPACE if os.geteuid() == 0 else [NAMESPACE[0], *MAP_USER, *NAMESPACE[1:]]
    try:
        allowed = subprocess.run([*own, "true"], check=False, capture_output=True).returncode == 0
    except OSError:
        allowed = False
    return own if allowed else []


class Container(container.Container):
    """The entrypoint while it runs. Its output is a file, so that nobody has to wait for it."""

    def __init__(self, env_file: Path, output: Path) -> None:
        """Start it with its env file, and its state beside its output instead of in /run."""
        self._output: IO[str] = output.open("w+", encoding="utf-8", errors="replace")
        self._rest = ""
        env = {
            "PATH": os.environ["PATH"],
            "RUNNER_ENVFILE": str(env_file),
            # Not in the env file: a health check would not find it there.
            "RUNNER_STATE_DIR": str(output.parent / "state"),
        }
        with output.open("ab") as out:
            super().__init__(PROGRAM, env=env, namespace=namespace(), stdout=out, stderr=out)

    def lines(self) -> list[str]:
        """The lines that it has printed since the last call."""
        *whole, self._rest = (self._rest + self._output.read()).split("\n")
        return [line for line in whole if line.strip()]

    def end(self) -> None:
        """Let nothing of it survive the demo."""
        super().end()
        self._output.close()
