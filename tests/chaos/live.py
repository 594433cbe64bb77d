"""Live one plan: the real program as PID 1 of a namespace, and what the plan does to it."""

import os
import select
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from simulator import Simulator
from simulator.container import is_started
from tests.chaos.jobs import SHAPES
from tests.chaos.plan import BLOCKED, STOPPED, Action, Plan
from tests.chaos.story import Event, Stop, Story
from tests.support.life import Life, directory, until

PROJECT = Path(__file__).resolve().parent.parent.parent
LAUNCHER = Path(__file__).with_name("launch.py")
POLL = 0.05  # seconds between two looks whether the life has ended
MERGED = 0.01  # seconds until a signal is sent that would have merged with a pending one
RESCUE = 12.0  # seconds; a life without a stop gets one after this time
LONGEST_LIFE = 60.0  # seconds; a longer life is killed
PATIENCE = 5.0  # seconds beyond the time allowed for a stop


class Lateness(threading.Thread):
    """Measures how late this machine wakes a process that sleeps."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.total = 0.0

    def run(self) -> None:
        """Sleep again and again, and sum up how late each sleep ended."""
        while True:
            due = time.monotonic() + POLL
            time.sleep(POLL)
            self.total += time.monotonic() - due


def live(plan: Plan, simulator: Simulator, lateness: Lateness, source: Path = PROJECT) -> Story:
    """Live a plan and return its story; meanwhile the simulator serves this plan only.

    `source` is the directory that holds the package to run.
    """
    last = simulator.reset()
    simulator.add_credential(plan.token)
    simulator.settings(poll_seconds=plan.poll_seconds, lease_seconds=plan.lease_seconds)
    with directory() as home, _life(plan, simulator, home, source) as life:
        story = Story(plan)
        if plan.jit_given:
            _give_jit(life, plan)
        else:
            life.env |= _credential(plan, home)
        life.env |= plan.settings
        life.start()
        _Timeline(life, simulator, story, lateness, last).run()
        _settle(simulator, story)
        story.read(home)
        return story


@contextmanager
def _life(plan: Plan, simulator: Simulator, home: Path, source: Path) -> Iterator[Life]:
    life = Life(simulator, home, scale=plan.scale, **plan.times)
    python = [sys.executable, "-I", str(LAUNCHER), str(source), str(home / "alive")]
    life.program = ["/usr/bin/env", "--block-signal", *python]
    if plan.dirty:
        _leave_dirt(life.home)
    try:
        yield life
    finally:
        life.end()


def _credential(plan: Plan, home: Path) -> dict[str, str]:
    """Return the settings that give the credential, or the name of its file."""
    if not plan.token_file:
        return {"GITHUB_PERSONAL_TOKEN": plan.token}
    path = home / "token"
    path.touch(mode=0o600)
    path.write_text(plan.token)
    return {"GITHUB_PERSONAL_TOKEN": "", "GITHUB_PERSONAL_TOKEN_FILE": str(path)}


def _give_jit(life: Life, plan: Plan) -> None:
    """Register a runner as a controller does; its configuration is all that the life gets."""
    for name in [name for name in life.env if name.startswith("GITHUB_")] + ["RUNNER_NAME"]:
        del life.env[name]
    _, encoded = life.simulator.make_jit_configuration(f"given-{plan.seed}", token=plan.token)
    life.env["RUNNER_JITCONFIG"] = encoded


def _leave_dirt(root: Path) -> None:
    """Write what a life leaves that was killed in a container which is started again."""
    (root / ".runner").write_text('\ufeff{"agentId": 999, "agentName": "old", "ephemeral": true}')
    for name in (".credentials", ".credentials_rsaparams"):
        (root / name).write_text("{}")
    for name in ("_diag/Worker_20200101-000000-utc.log", "_work/_temp/old"):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("Job completed\n")
    for path in (root, *root.rglob("*")):
        os.chown(path, root.stat().st_uid, root.stat().st_gid)


def _settle(simulator: Simulator, story: Story) -> None:
    """Wait for what GitHub still does for a client that has gone, then look at it."""
    delays = [a.value.get("delay", 0.0) for a in story.plan.actions if a.what == "fault"]
    late = max((e["time"] for e in story.events if e["kind"] == "fault"), default=0.0)
    time.sleep(min(10.0, max(0.0, late + max(delays, default=0.0) + POLL - time.time())))
    deadline = time.monotonic() + 5
    while True:
        story.jobs, story.runners = simulator.jobs(), simulator.runners()
        if not _unsettled(story) or time.monotonic() > deadline:
            return
        time.sleep(POLL)


def _unsettled(story: Story) -> bool:
    return bool(story.runners) or any(job["status"] == "in_progress" for job in story.jobs)


class _Timeline:
    """Follows the events of a life and does what its plan says."""

    def __init__(
        self, life: Life, simulator: Simulator, story: Story, lateness: Lateness, last: int
    ) -> None:
        self._life = life
        self._simulator = simulator
        self._story = story
        self._lateness = lateness
        self._last = last
        self._waiting = list(story.plan.actions)
        self._due: list[tuple[float, Action]] = []

    def run(self) -> None:
        """Follow the life to its end, or until the time allowed is over."""
        story = self._story
        pid = self._life.pid_1
        self._status = Path(f"/proc/{pid}/status")
        with _pidfd(pid, self._life) as self._pid_1:
            story.began = time.time()
            ended = _Ending(self._life)
            ended.start()
            self._take({"kind": BLOCKED, "time": story.began})
            while ended.code is None and time.time() < self._deadline():
                self._act()
                self._follow()
            if ended.code is None:
                self._life.end()
            else:
                story.code = ended.code
            ended.join()
            story.ended = ended.time
            if story.stops:
                story.late = self._lateness.total - self._late_before
        self._follow()

    def _deadline(self) -> float:
        story = self._story
        if story.stops:
            return story.stops[0].time + story.time_allowed + PATIENCE
        return story.began + LONGEST_LIFE

    def _follow(self) -> None:
        """Take in new events; wait for one if nothing else is due."""
        now = time.time()
        wait = min([POLL, *(max(0.0, due - now) for due, _ in self._due)])
        for event in self._simulator.events(self._last, wait):
            self._last = event["id"]
            self._take(event)

    def _take(self, event: Event) -> None:
        self._story.events.append(event)
        for action in [a for a in self._waiting if _is_meant(a, event)]:
            self._waiting.remove(action)
            self._due.append((event["time"] + action.at.offset, action))

    def _act(self) -> None:
        now = time.time()
        for due, action in sorted(self._due, key=lambda item: item[0]):
            if due <= now:
                self._due.remove((due, action))
                if action.what == "signal" and self._is_pending(action.value):
                    self._due.append((now + MERGED, action))
                else:
                    self._do(action.what, action.value)
        if not self._story.stops and now > self._story.began + RESCUE:
            self._do("signal", int(signal.SIGTERM))

    def _do(self, what: str, value: Any) -> None:
        match what:
            case "signal":
                self._stop(value)
            case "job":
                shape = SHAPES[value]
                self._simulator.queue_job(shape.run, name=value, hang=shape.hang)
            case "fault":
                self._simulator.fault(**value)
            case "clear":
                self._simulator.clear_faults()
            case "noise":
                self._signal(value)
            case "kill":
                self._kill(value)
            case "forget" | "revoke" | "cancel" | "cancel for ever":
                self._at_github(what)

    def _is_pending(self, signum: int) -> bool:
        """Return whether an equal signal is pending at PID 1: the kernel would merge both."""
        with suppress(OSError):
            pending = self._status.read_text().partition("ShdPnd:")[2].split()[0]
            return bool(int(pending, 16) >> (signum - 1) & 1)
        return False

    def _kill(self, comm: str) -> None:
        if not self._signal(0):  # PID 1 has ended, and its pid may be in another namespace
            return
        for pid, name in self._life.inside().items():
            if name == comm:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    def _at_github(self, what: str) -> None:
        match what:
            case "forget":
                for runner in self._simulator.runners():
                    with suppress(RuntimeError):  # it has just gone
                        self._simulator.delete_runner(runner["id"])
            case "revoke":
                self._simulator.revoke_credential(self._story.plan.token)
            case "cancel" | "cancel for ever":
                for job in self._simulator.jobs():
                    self._simulator.cancel_job(job["id"], for_ever=what != "cancel")

    def _signal(self, signum: int) -> bool:
        try:
            signal.pidfd_send_signal(self._pid_1, signum)
        except ProcessLookupError:
            return False
        return True

    def _stop(self, signum: int) -> None:
        now = time.time()
        if not self._signal(signum):
            return
        if not self._story.stops:
            self._late_before = self._lateness.total
            self._take({"kind": STOPPED, "time": now})
        self._story.stops.append(Stop(now, signum, self._story.phase()))


def _is_meant(action: Action, event: Event) -> bool:
    at = action.at
    return event["kind"] == at.kind and all(
        str(wanted) in str(event.get(name)) for name, wanted in at.match.items()
    )


class _Ending(threading.Thread):
    """Notes the end of a life when it happens."""

    def __init__(self, life: Life) -> None:
        super().__init__(daemon=True)
        self._process = life.process
        self.code: int | None = None
        self.time = 0.0

    def run(self) -> None:
        """Wait for the end."""
        code = self._process.wait()
        self.time = time.time()
        self.code = code


@contextmanager
def _pidfd(pid: int, life: Life) -> Iterator[int]:
    """Open PID 1 once it blocks signals: before, the kernel drops them.

    On a loaded machine, a life whose start GitHub refuses may be over by then. AssertionError if
    nothing is left of it: no plan ends a life so early.
    """
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        told = f"ended with {life.container.wait()} before it was looked at: {life.output}"
        raise AssertionError(told) from None
    ended = select.poll()
    ended.register(descriptor, select.POLLIN)
    try:
        until(lambda: is_started(pid, life.program) or ended.poll(0))
        yield descriptor
    finally:
        os.close(descriptor)
