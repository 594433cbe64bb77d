"""A container in all but name: PID 1 of a new PID namespace, started as the image starts it."""

import getpass
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import IO

PROGRAM = ["/usr/bin/env", "--block-signal", sys.executable, "-I", "-m", "entrypoint"]
NAMESPACE = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]
MAP_USER = ["--user", "--map-current-user"]
UNPRIVILEGED = "nobody"


def runner_user() -> str:
    """The user that the job runs as: one without rights if we are root, else we ourselves."""
    return UNPRIVILEGED if os.geteuid() == 0 else getpass.getuser()


def namespace() -> list[str]:
    """What puts a command into a PID namespace of its own; empty where that is not allowed."""
    own = NAMESPACE if os.geteuid() == 0 else [NAMESPACE[0], *MAP_USER, *NAMESPACE[1:]]
    try:
        allowed = subprocess.run([*own, "true"], check=False, capture_output=True).returncode == 0
    except OSError:
        allowed = False
    return own if allowed else []


class Container:
    """The entrypoint while it runs. Its output is a file, so that nobody has to wait for it."""

    def __init__(self, env_file: Path, output: Path) -> None:
        """Start it with its env file, and its state beside its output instead of in /run."""
        self.namespace = namespace()
        self._output: IO[str] = output.open("w+", encoding="utf-8", errors="replace")
        self._rest = ""
        with output.open("ab") as out:
            self._process = subprocess.Popen(
                [*self.namespace, *PROGRAM],
                env={
                    "PATH": os.environ["PATH"],
                    "RUNNER_ENVFILE": str(env_file),
                    # Not in the env file: a health check would not find it there.
                    "RUNNER_STATE_DIR": str(output.parent / "state"),
                },
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,  # Ctrl-C is for the demo, which then stops PID 1
            )

    @property
    def exit_code(self) -> int | None:
        """The exit code of PID 1 as Docker would show it; None while it lives."""
        code = self._process.poll()
        return 128 - code if code is not None and code < 0 else code

    def stop(self, signum: int) -> None:
        """Send PID 1 a signal, as `docker stop` does."""
        pid = self._process.pid
        if self.namespace:
            children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
            pid = int(children[0])
        os.kill(pid, signum)

    def lines(self) -> list[str]:
        """The lines that it has printed since the last call."""
        *whole, self._rest = (self._rest + self._output.read()).split("\n")
        return [line for line in whole if line.strip()]

    def end(self) -> None:
        """Let nothing of it survive the demo."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._output.close()
