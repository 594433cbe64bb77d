"""One act of the demo: a container, what happens to it, and the timeline of both."""

import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from demo.container import Container
from demo.stage import Stage
from demo.story import PID_1, US, Moment, Story
from simulator.client import Simulator

TICK = 0.05  # seconds; also how often the bars grow
PAUSE = 1.0  # seconds for the audience to read
LIMIT = 120.0  # seconds after which the demo has failed

JOB_END = "credential: none found"
# A job that looks for the credential. Without the brackets grep would find its own pattern.
JOB = """\
echo "Hello! I am $(id -un) on $RUNNER_NAME, and I look for the credential of this container."
found=0
search() {
    if grep -qsr 'gh[p]_simulator' "${@:2}"; then found=1 result=FOUND; else result=nothing; fi
    echo "- $1: $result"
}
search "my environment" <(env)
search "the environments of all processes" /proc/[0-9]*/environ
search "the command lines of all processes" /proc/[0-9]*/cmdline
search "all files of the runner" "$GITHUB_WORKSPACE/../../.."
[ "$found" -eq 0 ] || exit 1
"""


@dataclass(frozen=True)
class Act:
    """What happens: a job, or a stop (a signal's name without SIG) while idle or in a job."""

    stop: str = ""
    in_job: bool = True

    @property
    def job(self) -> str:
        """The script of the job; "" if there is no job."""
        if self.stop and not self.in_job:
            return ""
        end = 'echo "and now: sleep 60"\nsleep 60\n' if self.stop else ""
        return f'{JOB}echo "{JOB_END}"\n{end}'

    @property
    def signum(self) -> signal.Signals:
        """The signal of the stop."""
        return signal.Signals[f"SIG{self.stop}"]

    @property
    def exit_code(self) -> int:
        """The exit code that is promised."""
        return 128 + self.signum if self.stop else 0


class Play:
    """An act that runs."""

    def __init__(self, simulator: Simulator, stage: Stage, act: Act, env_file: Path) -> None:
        self._simulator = simulator
        self._stage = stage
        self._act = act
        self._env_file = env_file
        self._heard = simulator.last_event()
        self._ours: set[str] = set()
        self._todo = self._plan()
        self.env_file_was_gone = False
        self.story = Story(0.0)

    def run(self, output: Path) -> int | None:
        """Run the container to its end and return its exit code; None if it did not end."""
        self.story = Story(time.time())
        self._stage.open(self.story.marks["started"])
        container = Container(self._env_file, output)
        try:
            self._watch(container)
        finally:
            container.end()
            self.story.mark("ended", time.time())
            self._stage.close()
        return container.exit_code

    def _plan(self) -> list[tuple[str, float, Callable[[Container], None]]]:
        """Return what to do, each with the mark that it follows and the seconds between."""
        steps: list[tuple[str, float, Callable[[Container], None]]] = []
        if self._act.job:
            steps.append(("online", 0.0, lambda _: self._show("while the runner waits")))
            steps.append(("online", PAUSE, lambda _: self._queue()))
            steps.append(("printed", 0.0, lambda _: self._show("while the job runs")))
        else:
            steps.append(("online", 0.0, lambda _: self._show("while the runner waits")))
        if self._act.stop:
            steps.append(("printed" if self._act.job else "online", PAUSE, self._stop))
        return steps

    def _watch(self, container: Container) -> None:
        over = False
        while not over and time.time() < self.story.marks["started"] + LIMIT:
            # Looked at before the output, so that the last lines are read after the end.
            over = container.exit_code is not None
            if over:
                self.story.mark("ended", time.time())
            for moment in self._news(container):
                self._stage.tell(moment)
            self._stage.grow(self.story.phases(time.time()))
            self._do_next(container)

    def _news(self, container: Container) -> list[Moment]:
        told: list[Moment] = []
        for event in self._simulator.events(self._heard, wait=TICK):
            self._heard = event["id"]
            if event["kind"] == "request" and not self._ours:
                self.env_file_was_gone = not self._env_file.exists()
            self._ours = self._our_requests() if event["kind"] == "answer" else self._ours
            told += self.story.hear(event, self._ours)
        told += reversed(list(self.story.read(container.lines(), time.time())))
        return sorted(told, key=lambda moment: moment.at)

    def _our_requests(self) -> set[str]:
        return {r["id"] for r in self._simulator.requests() if r["user_agent"] == US}

    def _do_next(self, container: Container) -> None:
        if not self._todo:
            return
        mark, delay, action = self._todo[0]
        if mark in self.story.marks and time.time() >= self.story.marks[mark] + delay:
            self._todo.pop(0)
            action(container)

    def _show(self, when: str) -> None:
        self._stage.runners(when, self._simulator.runners())

    def _queue(self) -> None:
        self._simulator.queue_job(self._act.job, name="demo")

    def _stop(self, container: Container) -> None:
        self.story.mark("stopped", time.time())
        self._stage.tell(Moment(time.time(), PID_1, f"is sent {self._act.signum.name}"))
        container.signal(self._act.signum)
