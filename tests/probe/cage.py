"""The walls of a container without a container engine, for a life and its probes.

PID 1 has the capabilities that Docker gives by default, and jobs may use sudo. A probe comes in by
three ways: a job runs it as its own user; a job runs it by sudo; or it is started from outside as
the user of jobs, while there is no job.
"""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import subprocess
from collections.abc import Sequence
from typing import Any

from simulator import Simulator
from tests.probe import needles, probe
from tests.probe.looks import Result, results
from tests.support.life import ISOLATED, USER, Life

# moby, oci/caps/defaults.go
DOCKER = [
    *("chown", "dac_override", "fowner", "fsetid", "kill", "setgid", "setuid", "setpcap"),
    *("net_bind_service", "net_raw", "sys_chroot", "mknod", "audit_write", "setfcap"),
]
PYTHON = "/usr/bin/python3"
# Gives jobs sudo, in this mount namespace only.
_SUDO = f"""
mount -t tmpfs -o mode=755 tmpfs /etc/sudoers.d
echo '{USER} ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/{USER}
chmod 440 /etc/sudoers.d/{USER}
exec "$@"
"""


def powers(*capabilities: str) -> list[str]:
    """Return the words that run a command with these capabilities and no others."""
    kept = ",".join(f"+{capability}" for capability in capabilities)
    return ["setpriv", "--inh-caps=-all", f"--bounding-set=-all,{kept}", "--"]


def walls(*capabilities: str) -> list[str]:
    """Return the words that make a container with Docker's capabilities and some more."""
    return [*ISOLATED, "sh", "-e", "-c", _SUDO, "sh", *powers(*DOCKER, *capabilities)]


class Cage:
    """A life in a cage, and the secrets that a probe looks for."""

    def __init__(self, life: Life) -> None:
        self.life = life
        self.simulator: Simulator = life.simulator
        self.needles: dict[str, str] = {}
        self._begun = 0
        self.walls: list[str] | None = None  # replaces the walls with Docker's capabilities
        self.token = f"ghp_{secrets.token_hex(18)}"
        self._program = str(shutil.copy(probe.__file__, life.directory / "probe.py"))
        self._needles = str(life.directory / "needles")
        self._places = [str(life.directory), "/dev/shm", "/run", "/var/log", "/var/tmp"]
        (life.directory / "log").touch(mode=0o644)

    def start(self, *capabilities: str, **env: str) -> Cage:
        """Start the life with a token of its own; `env` as for Life.start.

        `capabilities` are given beyond Docker's.
        """
        self._begun = self.simulator.last_event()
        self.simulator.add_credential(self.token)
        self.needles["PAT"] = self.token
        self.life.start(
            namespace=self.walls or walls(*capabilities),
            **{"GITHUB_PERSONAL_TOKEN": self.token, **env},
        )
        return self

    def idle(self) -> Cage:
        """Wait for the listener, and note the secrets that were given out so far."""
        self.simulator.wait_for("session_opened", after=self._begun)
        self.needles |= needles.given_out(self.simulator)
        self.needles |= needles.of_runner((self.life.home / needles.KEY_FILE).read_bytes())
        probe.write(self._needles, self.needles)
        return self

    def command(self, *arguments: str) -> list[str]:
        """Return the command line of the probe."""
        return [PYTHON, "-I", self._program, self._needles, *self._places, *arguments]

    def job(self, *scripts: str) -> dict[str, Any]:
        """Queue a job that probes as its user and as root, and then runs the other scripts."""
        command = " ".join(self.command())
        return self.simulator.queue_job("\n".join([command, f"sudo -n {command}", *scripts]))

    def probed(self, code: int = 0) -> list[Result]:
        """Let a job probe as its user and by sudo; return both looks after its end."""
        job = self.job()
        assert self.life.wait() == code, self.life.output
        log = self.simulator.job(job["id"])["log"]
        looks = results(log)
        assert [look.uid for look in looks] == [self.uid, 0], log
        runner, root = looks
        # The processes that root may not look into without CAP_SYS_PTRACE are the runner's.
        assert {"environ", "cmdline", "fd", "mem", "file"} <= runner.looked.keys(), log
        assert {"environ", "cmdline", "file", "key"} <= root.looked.keys(), log
        return looks

    @property
    def uid(self) -> int:
        """The uid of the runner's user."""
        return _USER.pw_uid

    def inside(self, *command: str, **env: str) -> subprocess.Popen[str]:
        """Start a command in the container, as `docker exec` does."""
        enter = ["nsenter", f"--target={self.life.pid_1}", "--pid", "--mount", "--"]
        return subprocess.Popen(
            [*enter, *command],
            env={"PATH": os.environ["PATH"], **env},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        )

    def look(self, become: Sequence[str]) -> Result:
        """Probe now, from outside any job."""
        output, _ = self.inside(*become, *self.command()).communicate(timeout=30)
        return results(output)[0]


_USER = pwd.getpwnam(USER)
AS_RUNNER = ["setpriv", f"--reuid={_USER.pw_uid}", f"--regid={_USER.pw_gid}", "--init-groups", "--"]
AS_ROOT = powers(*(capability for capability in DOCKER if capability != "setpcap"))
