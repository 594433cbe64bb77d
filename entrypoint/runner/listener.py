"""The listener and its worker: which processes they are, and how they are interrupted and killed.

run.sh and its helper are shells around `Runner.Listener`, which starts a `Runner.Worker` for a
job. A signal for the listener must be sent to the listener itself, because the shells do not pass
it on: they would die, and the listener would go on.
"""

from __future__ import annotations

import os
import time

from entrypoint.container import kernel
from entrypoint.init import processes, signals
from entrypoint.runner import home

TYPE_CHECKING = False
if TYPE_CHECKING:
    from entrypoint.init.child import Child
    from entrypoint.init.pid1 import Init
    from entrypoint.runner.hook import StartedHook
    from entrypoint.settings.plan import Plan

LISTENER, WORKER = "Runner.Listener", "Runner.Worker"
# The result of a job by its worker's exit code (TaskResultUtil in actions/runner).
WORKER_RESULTS = {
    100: "succeeded",
    101: "succeeded with issues",
    102: "failed",
    103: "cancelled",
}
_LISTENING = "Listening for Jobs"
_WORKER_CODE = r"Worker finished for job [^\n]*Code: (\d{1,9})"
_RESULT = r"completed with result: (\w{1,20})"
_RESULTS = {"Succeeded": "succeeded", "Failed": "failed", "Canceled": "cancelled"}
_JOB = "Running job: "
_LONGEST_NAME = 100  # characters
_KILL_TIMEOUT = 2.0  # seconds until killed processes are gone
_BY_A_SIGNAL = 128  # above it an exit code is 128 and the number of the signal


class Listener:
    """run.sh and all processes that it has started."""

    def __init__(
        self,
        pid_1: Init,
        plan: Plan,
        hook: StartedHook | None = None,
        output: int | None = None,
    ) -> None:
        """Start run.sh as the runner's user.

        From then on each new log of the listener wakes PID 1, and PID 1 looks for a worker whenever
        it wakes.
        """
        environment = plan.runner_environment
        self._init = pid_1
        self._home = plan.home
        self._uid = plan.uid
        self._logs_before = home.diagnostics(plan.home)
        self._logs: set[str] = set()
        self._growth: int | None = None
        self._size = self._read_to = 0
        self.is_listening = False  # whether its log says so
        self._is_killed = False  # by PID 1
        self.worker: Child | None = None
        self.oom_kills_before = kernel.oom_kills()
        home.announce_logs(plan.home, plan.uid, plan.gid)
        self.child: Child = pid_1.spawn(
            [*plan.as_runner, f"{plan.home}/run.sh"],
            env=environment if hook is None else hook.environment(environment),
            cwd=plan.home,
            output=output,
        )
        pid_1.on_wake.append(self.look)

    def look(self) -> None:
        """Look for a worker if there is a new log: each listener and each worker begins one."""
        logs = self._new_logs()
        if logs == self._logs:
            return
        self._logs = logs
        _, worker = self.pids()
        if worker and (self.worker is None or self.worker.pid != worker):
            # If the listener is killed, the worker becomes our child: keep its exit code then.
            self.worker = self._init.adopt(worker)

    def expect_growth(self) -> None:
        """Have PID 1 woken once, when a log grows next; `has_grown` is False until then."""
        self._size = self._listener_log()[1]
        if self._growth is not None:
            os.close(self._growth)
        self._growth = home.announce_growth(self._home)

    def has_grown(self) -> bool:
        """Return whether the listener has written into its log since `expect_growth`."""
        return self._listener_log()[1] != self._size

    def growth(self) -> str:
        """Return what the listener has written since the last call, or since it began to listen."""
        path, size = self._listener_log()
        words = home.read_from(path, self._read_to) if path else ""
        self._read_to = size
        if not self.is_listening and _LISTENING in words:
            self.is_listening = True
            words = words.rpartition(_LISTENING)[2].partition("\n")[2]
        return words

    def wrote_lately(self, seconds: float) -> bool:
        """Return whether the listener has written into its log within the last `seconds`."""
        path, _ = self._listener_log()
        try:
            return bool(path) and abs(time.time() - os.lstat(path).st_mtime) < seconds
        except OSError:
            return False

    def heard_lately(self, seconds: float) -> bool:
        """Return whether a connection of the listener has received data within the last `seconds`.

        False where the kernel does not tell.
        """
        from entrypoint.container import sockets  # only here: needed at a stop without GitHub

        return sockets.heard_lately(self._uid, seconds)

    def has_worker(self) -> bool:
        """Return whether a known worker is alive; cheaper than `busy` if there was none yet."""
        return self.worker is not None and self.busy()

    def _listener_log(self) -> tuple[str, int]:
        """Return the newest log of the listener and its size; "" and 0 if there is none."""
        sizes = home.diagnostics(self._home)
        new = [p for p, n in sizes.items() if "/Runner_" in p and n > self._logs_before.get(p, -1)]
        return (max(new), sizes[max(new)]) if new else ("", 0)

    @property
    def relaunches(self) -> int:
        """How often run.sh has started the listener again."""
        return sum("/Runner_" in path for path in self._logs) - 1

    @property
    def had_job(self) -> bool:
        """Whether there has been a worker, by its process or by its log."""
        return self.worker is not None or any("/Worker_" in path for path in self._new_logs())

    @property
    def left_by_itself(self) -> bool:
        """Whether run.sh and the worker have ended by themselves, as far as their exit codes tell.

        The worker is a child of the listener, so its exit code is read in the listener's log. A job
        can forge that log.
        """
        codes = {0 if self.worker is None else self.worker.outcome or 0}
        codes |= {int(code) for code in _all_in(self._words(), _WORKER_CODE)}
        return self.child.outcome == 0 and codes <= {0, *WORKER_RESULTS}

    def job_name(self) -> str:
        """Return the name of the last job in the listener's log; "" if there is none."""
        _, is_there, rest = self._words().rpartition(_JOB)
        return rest.partition("\n")[0].strip()[:_LONGEST_NAME] if is_there else ""

    def reported_result(self) -> str:
        """Return the job's result in the listener's log; "" if there is none.

        A job that has killed run.sh may have written the result as well.
        """
        if (self.child.outcome or 0) > _BY_A_SIGNAL and not self._is_killed:
            return ""
        words = self._words()
        if found := _all_in(words, _RESULT):
            return _RESULTS.get(found[-1], found[-1].lower())
        codes = [int(code) for code in _all_in(words, _WORKER_CODE)]
        return WORKER_RESULTS.get(codes[-1], "killed") if codes else ""

    def _words(self) -> str:
        path, _ = self._listener_log()
        return home.read_from(path, 0) if path else ""

    def pids(self) -> tuple[int | None, int | None]:
        """Return the pids of the listener and of its worker; None for one that does not exist.

        A name alone proves nothing, because a job may give its processes any name. So the listener
        must be below run.sh, and the worker must be a child of the listener. If the listener was
        killed, the worker is the one that was known before.
        """
        alive = processes.snapshot()
        shells = {shell.pid for shell in self._shells(alive)}
        listener = _named(LISTENER, shells, alive)
        worker = _named(WORKER, {listener}, alive) if listener else None
        if worker is None and listener is None and self.worker is None:
            # The listener was just killed, and its worker is our child now. There was no job
            # before that could have forged the name.
            worker = _named(WORKER, {os.getpid()}, alive)
        elif worker is None and self.worker is not None:
            orphan = (self.worker.pid, os.getpid(), WORKER)
            worker = orphan[0] if any((p.pid, p.parent, p.comm) == orphan for p in alive) else None
        return listener, worker

    def _shells(self, alive: list[processes.Process]) -> list[processes.Process]:
        """Return run.sh and its child run-helper.sh, as far as they are alive."""
        return [p for p in alive if self.child.pid in (p.pid, p.parent)]

    def busy(self) -> bool:
        """Return whether a worker is alive."""
        return self.pids()[1] is not None

    def ended(self) -> bool:
        """Return whether run.sh has ended, and no worker is left from it."""
        return self.child.outcome is not None and not self.busy()

    def interrupt(self) -> None:
        """Send SIGINT to the listener: it ends, and if it has a job, it cancels the job first.

        The shells around it are woken if a job has suspended them.
        """
        listener, _ = self.pids()
        if listener is not None:
            signals.interrupt(listener)
            # A job may have suspended the listener (SIGSTOP); it acts on SIGINT once it continues.
            signals.resume(listener)
        for shell in self._shells(processes.snapshot()):
            if shell.state == "T":
                signals.resume(shell.pid)

    def has_listener(self) -> bool:
        """Return whether the listener is alive; run.sh can be alive without it."""
        return self.pids()[0] is not None

    def kill(self) -> None:
        """Kill run.sh with its process group. A job is lost by that if there is one."""
        self._is_killed = True
        self._init.end(self.child)

    def kill_job(self) -> None:
        """Kill every process of the job, so that the worker can report the job and end."""
        # Suspend all first: a loop over /proc would not catch up with processes that fork.
        self._init.freeze()
        try:
            deadline = time.monotonic() + _KILL_TIMEOUT
            while (victims := self._job()) and time.monotonic() < deadline:
                for pid in victims:
                    signals.kill(pid)
                self._init.reap()
        finally:
            self._init.thaw()

    def _job(self) -> set[int]:
        """Return the job's processes: the worker's descendants, and orphans with theirs."""
        alive = processes.snapshot()
        worker = {pid for pid in self.pids()[1:] if pid is not None}
        strangers = {p.pid for p in alive if p.parent == os.getpid()}
        orphans = {pid for pid in strangers if not self._init.is_ours(pid)} - worker
        return orphans | processes.below(worker | orphans, alive)

    def _new_logs(self) -> set[str]:
        """Return the logs that are new, or have grown, since run.sh was started."""
        now = home.diagnostics(self._home)
        return {path for path, size in now.items() if size > self._logs_before.get(path, -1)}

    def last_words(self) -> str:
        """Return the last lines of the listener's newest log; "" if it has written none."""
        named = sorted(path for path in self._new_logs() if "/Runner_" in path)
        return home.tail(named[-1]) if named else ""


def _all_in(words: str, pattern: str) -> list[str]:
    """Return what the group of a pattern matches, each time."""
    import re  # only here, because PID 1 does without it while it waits for a job

    return re.findall(pattern, words)


def _named(comm: str, parents: set[int], alive: list[processes.Process]) -> int | None:
    return next((p.pid for p in alive if p.comm == comm and p.parent in parents), None)
