"""The containers of a job, made and removed with the docker commands of GitHub's runner."""

import os
import time

from . import codec

TYPE_CHECKING = False  # importing `typing` costs 8 ms
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .step import Step

INSIDE = (
    "##[error]Container feature is not supported when runner is already running inside container.\n"
)
HOOKS = "ACTIONS_RUNNER_CONTAINER_HOOKS"
HEALTH = '--format="{{if .Config.Healthcheck}}{{print .State.Health.Status}}{{end}}"'
HEALTH_TRIES = 10
WORK = "/__w"  # the work folder inside a job's container


class Failed(Exception):
    """A docker command has failed; its output is in the job's log."""


class Containers:
    """The job's own container and its services, on a network that only they use."""

    def __init__(
        self,
        root: str,
        job: "dict[str, Any]",
        work: str,
        make_step: "Callable[[Callable[[str], None]], Step]",
        log: "Callable[[str], None]",
    ) -> None:
        self._root = root
        self._job = job
        self._work = work
        self._log = log
        self._output = ""
        self._step = make_step(self._take)
        self._network = ""
        self._ids: dict[str, str] = {}

    @property
    def is_wanted(self) -> bool:
        """Whether the job has containers."""
        return bool(self._job["container"] or self._job["services"])

    def start(self) -> bool:
        """Initialize the containers, and return whether all run.

        Raises Canceled if the job is cancelled meanwhile.
        """
        if not self.is_wanted:
            return True
        if os.environ.get(HOOKS):
            self._log(f"##[error]The stand-in does not run {HOOKS}\n")
            return False
        if is_inside_container():
            self._log(INSIDE)
            return False
        try:
            self._start()
        except Failed as failure:
            self._log(f"##[error]{failure}\n")
            return False
        return True

    def stop(self) -> None:
        """Remove the containers and their network."""
        for name, container in self._ids.items():
            if name in self._job["services"]:
                self._docker("logs", "--details", container, may_fail=True)
            self._docker("rm", "--force", container, may_fail=True)
        if self._network:
            self._docker("network", "rm", self._network, may_fail=True)
        self._ids, self._network = {}, ""

    def command(self, script: str) -> list[str]:
        """Return the command that runs a script, in the job's container if it has one."""
        if not self._job["container"]:
            return ["bash", "-e", script]
        name = self._job["repository"].rpartition("/")[2]
        inside = WORK + script.removeprefix(self._work)
        where = ["--workdir", f"{WORK}/{name}/{name}", self._ids[""]]
        return ["docker", "exec", "-i", *where, "sh", "-e", inside]

    def _start(self) -> None:
        label = label_of(self._root)
        images = dict(self._job["services"])
        if self._job["container"]:
            images = {"": self._job["container"], **images}
        self._docker("version", "--format", "{{.Server.APIVersion}}")
        self._docker("version", "--format", "{{.Client.APIVersion}}")
        of_ours = ["--filter", f"label={label}"]
        stale = self._docker("ps", "--all", "--quiet", "--no-trunc", *of_ours).split()
        if stale:
            self._docker("rm", "--force", *stale)
        self._docker("network", "prune", "--force", *of_ours)
        network = "github_network_" + os.urandom(16).hex()
        self._docker("network", "create", "--label", label, network)
        self._network = network
        for image in images.values():
            self._docker("pull", image)
        for name, image in images.items():
            self._create(name, image, label)
        for name in self._job["services"]:
            self._wait_until_healthy(self._ids[name])

    def _create(self, name: str, image: str, label: str) -> None:
        title = f"{os.urandom(16).hex()}_{''.join(c for c in image if c.isalnum())}_{label}"
        options = ["--name", title, "--label", label, "--network", self._network]
        arguments: list[str] = []
        if name:
            options += ["--network-alias", name, "-e", "GITHUB_ACTIONS=true", "-e", "CI=true"]
        else:
            options += ["--workdir", WORK, "-e", "HOME=/github/home", "-v", f"{self._work}:{WORK}"]
            options += ["-v", "/var/run/docker.sock:/var/run/docker.sock", "--entrypoint", "tail"]
            arguments = ["-f", "/dev/null"]
        self._ids[name] = made = self._docker("create", *options, image, *arguments).split()[-1]
        self._docker("start", made)
        running = ["--filter", f"id={made}", "--filter", "status=running", "--no-trunc"]
        shown = self._docker("ps", "--all", *running, "--format", "{{.ID}} {{.Status}}")
        if made not in shown:
            self._docker("logs", "--details", made, may_fail=True)
            raise Failed(f"Docker container {made} is not in running state.")
        self._docker("port", made)

    def _wait_until_healthy(self, container: str) -> None:
        for attempt in range(HEALTH_TRIES):
            health = self._docker("inspect", HEALTH, container).strip().strip('"')
            if health in ("", "healthy"):
                return
            if health == "unhealthy":
                break
            time.sleep(min(2.0**attempt, 32.0))
        raise Failed("Failed to initialize, a service is unhealthy.")

    def _docker(self, *arguments: str, may_fail: bool = False) -> str:
        """Run docker and return what it has printed; Failed unless it may fail."""
        self._output = ""
        command = ["docker", *arguments]
        self._log("##[command]" + " ".join(command) + "\n")
        code = self._step.run(command)
        if code and not may_fail:
            raise Failed(f"Docker {arguments[0]} fail with exit code {code}")
        return self._output

    def _take(self, text: str) -> None:
        self._output += text
        self._log(text)


def is_inside_container() -> bool:
    """Return whether GitHub's runner takes itself to be inside a container.

    It looks for Docker's control groups. They are there on cgroup v1, and in the host's namespace.
    """
    with open("/proc/1/cgroup", encoding="utf-8") as file:
        return ":/docker/" in file.read()


def label_of(root: str) -> str:
    """Return the label of everything that this registration makes at the engine."""
    from hashlib import sha256  # noqa: PLC0415  # only a job with containers needs it

    for name in (".runner", ".runner_migrated"):
        if os.path.exists(f"{root}/{name}"):
            with open(f"{root}/{name}", "rb") as file:
                text = file.read().removeprefix(codec.BOM).decode()
            return sha256(text.lower().encode()).hexdigest()[:6]
    raise Failed("the runner has no record of its registration")
