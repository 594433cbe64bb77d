"""The containers of a job, made and removed with the docker commands of GitHub's runner."""

import os
import time

from . import codec
from .hooks import CONTAINER_HOOKS, ContainerHooks, Failed

TYPE_CHECKING = False  # importing `typing` costs 8 ms
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .step import Step

INSIDE = (
    "##[error]Container feature is not supported when runner is already running inside container.\n"
)
FORBIDDEN = (
    "##[error]Jobs without a job container are forbidden on this runner, please add a 'container:'"
    " to your job or contact your self-hosted runner administrator.\n"
)
REQUIRED = "ACTIONS_RUNNER_REQUIRE_JOB_CONTAINER"
HEALTH = '--format="{{if .Config.Healthcheck}}{{print .State.Health.Status}}{{end}}"'
HEALTH_TRIES = 10
WORK = "/__w"  # the work folder inside a job's container


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
        self._step = make_step(self._take)  # its output is kept in self._output
        self._script_step = make_step(log)
        self._network = ""
        self._ids: dict[str, str] = {}
        self._image = ""  # the image of the job's action
        name = job["repository"].rpartition("/")[2]
        self._workspace = f"{work}/{name}/{name}"
        self._hooks: ContainerHooks | None = None
        if self.is_wanted and os.environ.get(CONTAINER_HOOKS):
            self._hooks = ContainerHooks(self._step, f"{work}/_temp/_runner_hook_responses")

    @property
    def is_wanted(self) -> bool:
        """Whether the job has containers."""
        return bool(self._job["container"] or self._job["services"])

    def start(self) -> bool:
        """Initialize the containers, and return whether all run.

        Raises Canceled if the job is cancelled meanwhile.
        """
        if os.environ.get(REQUIRED, "").lower() in ("1", "true") and not self._job["container"]:
            self._log(FORBIDDEN)
            return False
        if self.is_wanted and not self._hooks and is_inside_container():
            self._log(INSIDE)
            return False
        try:
            self._build()
            if self._hooks:
                inside = self._inside(self._workspace)
                self._hooks.prepare(self._job["container"], self._job["services"], inside)
            elif self.is_wanted:
                self._start()
        except Failed as failure:
            self._log(f"##[error]{failure}\n")
            return False
        return True

    def act(self) -> bool:
        """Run the job's action in its container, and return whether it has succeeded."""
        if not self._image:
            return True
        options = ["--name", f"{label_of(self._root)}{os.urandom(16).hex()}_{os.urandom(3).hex()}"]
        options += ["--label", label_of(self._root), "--workdir", "/github/workspace", "--rm"]
        options += ["-e", "HOME", "-e", "GITHUB_ACTIONS=true", "-e", "CI=true"]
        if self._network:
            options += ["--network", self._network]
        options += ["-v", "/var/run/docker.sock:/var/run/docker.sock"]
        for name in ("home", "workflow", "file_commands"):
            folder = f"{self._work}/_temp/_{name}"
            os.makedirs(folder, exist_ok=True)
            options += ["-v", f"{folder}:/github/{name}"]
        options += ["-v", f"{self._workspace}:/github/workspace"]
        try:
            self._docker("run", *options, self._image)
        except Failed:
            return False
        return True

    def run(self, script: str) -> int:
        """Run a script, in the job's container if it has one, and return its exit code."""
        if not self._job["container"]:
            return self._script_step.run(["bash", "-e", script])
        script, workspace = self._inside(script), self._inside(self._workspace)
        if self._hooks:
            return self._hooks.run(script, workspace)
        if "" not in self._ids:  # the container could not be made
            return 1
        where = ["--workdir", workspace, self._ids[""]]
        return self._script_step.run(["docker", "exec", "-i", *where, "sh", "-e", script])

    def stop(self) -> None:
        """Remove the containers and their network."""
        if self._hooks:
            try:
                self._hooks.clean_up()
            except Failed as failure:
                self._log(f"##[error]{failure}\n")
            return
        for name, container in self._ids.items():
            if name in self._job["services"]:
                self._docker("logs", "--details", container, may_fail=True)
            self._docker("rm", "--force", container, may_fail=True)
        if self._network:
            self._docker("network", "rm", self._network, may_fail=True)
        self._ids, self._network = {}, ""

    def _inside(self, path: str) -> str:
        """Translate the path of something in the work folder to its path in the job's container."""
        return WORK + path.removeprefix(self._work)

    def _build(self) -> None:
        """Build the image of the job's action, if it has one; the tag is the runner's label."""
        if not self._job["dockerfile"]:
            return
        folder = self._work + "/_actions/acme/action/v1"
        os.makedirs(folder, exist_ok=True)
        with open(folder + "/Dockerfile", "w", encoding="utf-8") as file:
            file.write(self._job["dockerfile"])
        image = f"{label_of(self._root)}:{os.urandom(16).hex()}"
        self._docker("build", "-t", image, "-f", folder + "/Dockerfile", folder)
        self._image = image

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
        """Run docker and return its output. Raises Failed if docker fails, unless it may fail."""
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
