"""`Runner.Worker`: does the job that the listener hands over, and reports it."""

import os

from . import codec
from .containers import Containers
from .hooks import Failed, command_of
from .program import Settings, Terminal, load_env, on_signal, pause, write
from .step import Canceled, Channel, Step
from .stop import SIGINT, Signals
from .wire import Connection

TYPE_CHECKING = False  # importing `typing` costs 8 ms
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, NoReturn

EXIT_CODES = {"succeeded": 100, "failed": 102, "cancelled": 103}
REPORT_TRIES = 5
NEVER_LEAVES = "never-leaves"  # a hang: the worker of a cancelled job stays


def main(path: str, words: list[str]) -> "NoReturn":
    """Do the job that comes through the pipe; the exit code is its result."""
    root = path.rpartition("/bin/")[0]
    signals = Signals((), raising=False)
    on_signal(SIGINT, lambda _signum, _frame: None)
    load_env(root)
    settings = Settings(root + "/bin/simulator.json")
    pause(settings.worker_log)
    terminal = Terminal(root, "Worker")
    os.dup2(terminal.trace_fd, 2)
    channel = Channel(int(words[1]))
    message = channel.wait()
    write(int(words[2]), "read")  # else the listener kills the worker
    job = Job(root, settings, terminal, message)
    os._exit(job.run(signals, channel))


class Job:
    """One job: its hooks, its containers, its script, its report."""

    def __init__(
        self, root: str, settings: Settings, terminal: Terminal, message: "dict[str, Any]"
    ) -> None:
        self._root = root
        self._settings = settings
        self._terminal = terminal
        self._job = message["job"]
        self._ignored: list[int] = message["ignored"]
        self._base = "/" + self._job["run_service_url"].partition("://")[2].partition("/")[2]
        self._connection = Connection(settings)
        self._work = message["work"]
        name = self._job["repository"].rpartition("/")[2]
        self._workspace = f"{self._work}/{name}/{name}"

    def run(self, signals: Signals, channel: "Channel") -> int:
        """Do the job, report it, and return the exit code."""
        os.makedirs(self._workspace, exist_ok=True)
        os.makedirs(self._work + "/_temp", exist_ok=True)
        os.chdir(self._workspace)
        self._set_environment()
        self._call("jobstarted", {"pid": os.getpid()})

        def make_step(log: "Callable[[str], None]") -> Step:
            return Step(self._settings, signals, channel, self._ignored, log)

        step = make_step(self._log)
        self._containers = Containers(self._root, self._job, self._work, make_step, self._log)
        try:
            result = self._steps(step)
        except Canceled as cancel:
            if self._job["hang"] == NEVER_LEAVES:
                _hang()
            result = "failed" if cancel.shutdown else "cancelled"
            self._after_cancel(step, cancel)
            self._report(result)
            return EXIT_CODES["cancelled"]
        self._report(result)
        return EXIT_CODES[result]

    def _steps(self, step: Step) -> str:
        started = self._hook(step, "ACTIONS_RUNNER_HOOK_JOB_STARTED")
        ready = started and self._containers.start()
        good = ready and self._containers.act() and self._containers.run(self._script("run")) == 0
        good = self._always() and good
        self._containers.stop()
        completed = self._hook(step, "ACTIONS_RUNNER_HOOK_JOB_COMPLETED")
        return "succeeded" if good and completed else "failed"

    def _after_cancel(self, step: Step, cancel: Canceled) -> None:
        """Run the last steps of a job that a user has cancelled; a shutdown skips them.

        After a shutdown services are removed if there is time. The job's own container is not.
        """
        try:
            if cancel.shutdown:
                if not self._job["container"]:
                    self._containers.stop()
                return
            self._always()
            self._containers.stop()
            self._hook(step, "ACTIONS_RUNNER_HOOK_JOB_COMPLETED")
        except Canceled:
            self._terminal.trace("Canceled again")

    def _always(self) -> bool:
        return not self._job["always"] or self._containers.run(self._script("always")) == 0

    def _script(self, part: str) -> str:
        path = f"{self._work}/_temp/{self._job['id']}-{part}.sh"
        with open(path, "w", encoding="utf-8") as file:
            file.write(self._job[part])
        return path

    def _hook(self, step: Step, variable: str) -> bool:
        path = os.environ.get(variable, "")
        if not path:
            return True
        try:
            return step.run(command_of(path)) == 0
        except Failed as failure:
            self._log(f"##[error]{failure}\n")
            return False

    def _set_environment(self) -> None:
        os.environ.update(
            {
                "CI": "true",
                "GITHUB_ACTIONS": "true",
                "GITHUB_JOB": self._job["name"],
                "GITHUB_REPOSITORY": self._job["repository"],
                "GITHUB_WORKSPACE": self._workspace,
                "RUNNER_ARCH": "X64",
                "RUNNER_ENVIRONMENT": "self-hosted",
                "RUNNER_NAME": self._job["runner_name"],
                "RUNNER_OS": "Linux",
                "RUNNER_TEMP": self._work + "/_temp",
                "RUNNER_TRACKING_ID": "github_" + self._job["id"],
                "RUNNER_WORKSPACE": self._workspace.rpartition("/")[0],
            }
        )

    def _log(self, text: str) -> None:
        self._call("joblog", {"text": text})

    def _report(self, result: str) -> None:
        pause(self._settings.upload)
        for _ in range(REPORT_TRIES):
            if self._call("completejob", {"result": result}):
                return
            pause(self._settings.retry_min)

    def _call(self, action: str, body: "dict[str, Any]") -> bool:
        """Tell the server something; False if it should be told again."""
        body = {"job_id": self._job["id"], **body}
        token = "Bearer " + self._job["token"]
        try:
            answer = self._connection.request("POST", self._base + action, body, token)
        except OSError as error:
            self._terminal.trace(f"{action}: {error}", "ERR ")
            return False
        self._terminal.trace(f"{action}: {codec.dumps(answer.status)}")
        return answer.status < 500


def _hang() -> "NoReturn":
    while True:
        pause(3600)
