"""The scripts that a runner's administrator names: job hooks and container hooks."""

import os

from . import codec

TYPE_CHECKING = False  # importing `typing` costs 8 ms
if TYPE_CHECKING:
    from typing import Any

    from .step import Step

KINDS = {".sh": "bash", ".ps1": "pwsh", ".js": "node"}
CONTAINER_HOOKS = "ACTIONS_RUNNER_CONTAINER_HOOKS"
REFUSED = (
    "Executing the custom container implementation failed. Please contact your self hosted runner"
    " administrator."
)


class Failed(Exception):
    """A part of the job cannot be done; the words are for the job's log."""


def command_of(path: str) -> list[str]:
    """Return the command that runs a hook. Raises Failed if the path is not one of a script."""
    kind = KINDS.get("." + path.rpartition(".")[2])
    if not os.path.isfile(path) or kind is None:
        raise Failed(
            f"'{path}' is not a valid path to a script. Make sure it ends in '.sh', '.ps1' or"
            " '.js'."
        )
    return [kind, "-e", path] if kind == "bash" else [kind, path]


class ContainerHooks:
    """A script that makes the job's containers in place of the runner.

    The script gets each command as JSON on its standard input. It answers in a file that the
    command names. The `state` of its answer is sent to it with the next command.
    """

    def __init__(self, step: "Step", folder: str) -> None:
        self._step = step
        self._folder = folder
        self._state: Any = {}

    def prepare(self, container: str, services: "dict[str, str]", workspace: str) -> None:
        """Call the script to make the containers."""
        made = [{"contextName": name, "image": image} for name, image in services.items()]
        args: dict[str, Any] = {"container": None, "services": made}
        if container:
            args["container"] = {"image": container, "workingDirectory": workspace}
        answer = self._call("prepare_job", args)
        if container and not isinstance(answer.get("isAlpine"), bool):
            raise Failed(REFUSED)

    def run(self, script: str, workspace: str) -> int:
        """Call the script to run a step in the job's container; return 0, or 1 if that fails."""
        args = {
            "entryPoint": "sh",
            "entryPointArgs": ["-e", script],
            "environmentVariables": {},
            "prependPath": "",
            "workingDirectory": workspace,
        }
        try:
            self._call("run_script_step", args)
        except Failed:
            return 1
        return 0

    def clean_up(self) -> None:
        """Call the script to remove the containers."""
        self._call("cleanup_job", None)

    def _call(self, command: str, args: "Any") -> "dict[str, Any]":
        os.makedirs(self._folder, exist_ok=True)
        place = f"{self._folder}/{os.urandom(16).hex()}"
        request = {"command": command, "responseFile": place + ".json", "args": args}
        with open(place, "w", encoding="utf-8") as file:
            file.write(codec.dumps({**request, "state": self._state}))
        with open(place + ".json", "w", encoding="utf-8"):
            pass
        if self._step.run(command_of(os.environ[CONTAINER_HOOKS]), stdin=place) != 0:
            raise Failed(REFUSED)
        with open(place + ".json", encoding="utf-8") as file:
            text = file.read()
        answer: dict[str, Any] = codec.loads(text) if text.strip() else {}
        self._state = answer.get("state", self._state)
        return answer
