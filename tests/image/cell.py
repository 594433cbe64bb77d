"""A runner's container with secrets, and probes that look for them in it.

A job runs the probe as its own user and by sudo. `docker exec` also starts it, as that user, and as
root with the capabilities that a job has.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from entrypoint.vault import SECRETS
from simulator import Simulator
from tests.image.conftest import StartRunner
from tests.image.engine import Container
from tests.probe import needles, probe
from tests.probe.looks import Finding, Result, results, written
from tests.support.life import until

RUNNER, ROOT = 1001, 0
# All folders in which a life of a container writes; `docker diff` shows that there are no others.
PLACES = "/dev/shm /etc /home /root /run /tmp /var/log /var/tmp"
PROBE = f"python3 -I /probe/probe.py /probe/needles {PLACES}"
# A health check that does not end, so that one runs at every moment.
HEALTH = [
    *("--health-cmd", "exec sleep 1000", "--health-interval", "100ms"),
    *("--health-timeout", "1000s"),
]
FILE = "/secrets/secret"
LEFTOVER = "outlives its job"
JOB = f"""
echo begun
until [ -e /probe/go ]; do sleep 0.02; done
{PROBE}
sudo -n {PROBE} || true
echo done
setsid sh -c ': {LEFTOVER}; until [ -e /probe/stop ]; do {PROBE}; sudo -n {PROBE}; done' \
    </dev/null >/probe/left 2>&1 &
exec sleep 60
"""


class Cell:
    """One life of a container; `users` are the user ids that its jobs can have."""

    def __init__(
        self, simulator: Simulator, start: StartRunner, directory: Path, users: Collection[int]
    ) -> None:
        """Make the folders that the container mounts at /probe and /secrets, and start nothing."""
        self._simulator, self._start, self._users = simulator, start, set(users)
        self._secrets, self._shared = directory / "secrets", directory / "probe"
        self._secrets.mkdir(parents=True)
        self._shared.mkdir()
        self._shared.chmod(0o777)  # jobs write there
        shutil.copy(probe.__file__, self._shared)
        self._name = directory.name  # of the runner
        self._repository = f"acme/{self._name}"
        self._path = ""  # of the runner in the API
        self.needles: dict[str, str] = {}
        self.container: Container

    def write(self, text: str, mode: int) -> None:
        """Write the secret's file."""
        path = self._secrets / Path(FILE).name
        path.write_text(text)
        path.chmod(mode)

    def files(self) -> list[str]:
        """Return the paths that are left of the secret's file."""
        return [path.name for path in self._secrets.iterdir()]

    def start(self, options: Sequence[str] = (), **settings: str) -> Self:
        """Start the container without waiting for it."""
        volumes = {self._shared: "/probe", self._secrets: Path(FILE).parent}
        mounts = [word for item in volumes.items() for word in ("--volume", "{}:{}".format(*item))]
        own = {"RUNNER_NAME": self._name, "GITHUB_URL": f"https://github.com/{self._repository}"}
        # Gives the probes time during a stop. Only the test itself waits for the stop to end.
        own["RUNNER_STOP_TIMEOUT"] = "60"
        usual = {"GITHUB_PERSONAL_TOKEN": "", "RUNNER_LOG_LEVEL": "debug", **own}
        self.container = self._start(*HEALTH, *mounts, *options, **{**usual, **settings})
        return self

    def idle(self) -> Self:
        """Wait for an idle listener, and for the other processes that were given the secrets."""
        event = self._simulator.wait_for("session_opened", runner=self._name)
        self._path = f"/actions/runners/{event['runner_id']}"
        key_file = self.container.execute("cat", f"/home/runner/{needles.KEY_FILE}")
        self.needles |= needles.of_runner(key_file.encode())
        self._take_in()
        self.run("sleep", "1000")
        until(lambda: self.runs("sleep 1000") == 2)
        return self

    def run(self, *words: str, user: str = "root") -> None:
        """Start by `docker exec` a process that stays and has the container's environment."""
        self.container.execute(*words, options=["--detach", "--user", user])

    def runs(self, words: str) -> int:
        """Return the number of processes that have these words in their command line."""
        return sum(words in line for line in self.container.processes())

    def _take_in(self) -> None:
        """Add the tokens that GitHub has given out by now to those that probes look for."""
        self.needles |= needles.given_out(self._simulator, f"repos/{self._repository}")
        probe.write(str(self._shared / "needles"), self.needles)

    def look(self, *become: str, user: str = "root") -> Result:
        """Probe by `docker exec`; the probe's own environment has no secret in it."""
        hidden = [f"--env={name}=" for name in SECRETS]
        probing = [*become, *PROBE.split()]
        (look,) = results(self.container.execute(*probing, options=["--user", user, *hidden]))
        return look

    def look_without(self, capability: str) -> Result:
        """Probe by `docker exec` as root, with the capabilities of a job."""
        return self.look("setpriv", f"--bounding-set=-{capability}", "--")

    def job(self) -> list[Result]:
        """Let a job probe, as each user that it can become."""
        job = self._simulator.queue_job(JOB, scope=f"repos/{self._repository}")
        self._simulator.wait_for("job_output", job_id=job["id"])
        self._take_in()
        (self._shared / "go").touch()
        self._simulator.wait_for("job_output", job_id=job["id"], text="done")
        looks = results(self._simulator.job(job["id"])["log"])
        assert {look.uid for look in looks} == self._users
        return looks

    @contextmanager
    def stopping(self) -> Iterator[float]:
        """Stop it; the value is when GitHub got the removal, which it answers after the block."""
        self._simulator.fault(path=f"{self._path}$", hold=self._name)
        self.container.kill("TERM")
        asked = self._simulator.wait_for("request", path=self._path)
        self._take_in()
        yield float(asked["time"])
        done = time.time()
        self._simulator.release(self._name)
        answered = self._simulator.wait_for("answer", path=self._path)
        assert answered["time"] > done  # GitHub was waited for

    def leftovers(self, since: float) -> list[Result]:
        """Return what processes that outlive their job have found since that time."""

        def looks() -> list[Result]:
            return [look for look in written(self._shared / "left") if look.began > since]

        until(lambda: {look.uid for look in looks()} == self._users)
        (self._shared / "stop").touch()
        return looks()

    def found_outside(self) -> set[Finding]:
        """Return the secrets in the log, and the files in folders that no probe searches."""
        log = self.container.logs().encode()
        told = {
            (name, "log")
            for name, needle in self.needles.items()
            if any(form in log for form in probe.forms(needle.encode()).values())
        }
        seen = (*PLACES.split(), "/probe", str(Path(FILE).parent))
        return told | {
            ("?", path) for path in self.container.changes() if not path.startswith(seen)
        }
