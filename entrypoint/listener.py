"""The listener and its worker: which processes they are, how to interrupt them, how it ended.

run.sh and its helper are shells around `Runner.Listener`, which starts a `Runner.Worker` for a
job. A signal for the listener must go to that very process: the shells die of it alone.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping

from entrypoint import account, init, processes, runner
from entrypoint.init import Child, Init
from entrypoint.settings import Settings

LISTENER, WORKER = "Runner.Listener", "Runner.Worker"
_KILL_TIMEOUT = 2.0  # seconds for what was killed to be gone


class Listener:
    """run.sh and all that it has started."""

    def __init__(self, pid_1: Init, settings: Settings, environ: Mapping[str, str]) -> None:
        """Start run.sh as the runner's user."""
        user = account.require(settings.user)
        self._init = pid_1
        self._settings = settings
        self._logs_before = runner.diagnostics(settings.home)
        self.child: Child = pid_1.spawn(
            account.command(user, runner.run_command(settings)),
            env=runner.environment(environ, user),
            cwd=settings.home,
        )

    @property
    def alive(self) -> bool:
        """Whether run.sh has not ended yet."""
        return self.child.outcome is None

    def pids(self) -> tuple[int | None, int | None]:
        """Return the pids of the listener and of its worker, as far as they are there.

        The listener is found by its name below run.sh, the worker by its name below the
        listener: a job may give a process of its own any name.
        """
        alive = processes.snapshot()
        shells = {self.child.pid}
        shells |= {p.pid for p in alive if p.parent in shells}  # run-helper.sh
        listener = _named(LISTENER, shells, alive)
        return listener, _named(WORKER, {listener}, alive) if listener else None

    def busy(self) -> bool:
        """Return whether there is a worker."""
        return self.pids()[1] is not None

    def interrupt(self) -> None:
        """Send SIGINT to the listener: idle, it leaves; in a job, it cancels the job first."""
        listener, _ = self.pids()
        if listener is not None:
            init.interrupt(listener)

    def kill(self) -> None:
        """End run.sh and its group at once; harmless without registration and worker."""
        self._init.end(self.child)

    def kill_job(self) -> None:
        """Kill every process of the job, so that the worker can report and leave.

        All are stopped first: a loop over /proc never catches up with processes that fork.
        """
        self._init.freeze()
        try:
            deadline = time.monotonic() + _KILL_TIMEOUT
            while (victims := self._job()) and time.monotonic() < deadline:
                for pid in victims:
                    init.kill(pid)
                self._init.reap()
        finally:
            self._init.thaw()

    def _job(self) -> set[int]:
        """Return the job's processes: all below the worker, and orphans with all below them."""
        alive = processes.snapshot()
        worker = {pid for pid in self.pids()[1:] if pid is not None}
        strangers = {p.pid for p in alive if p.parent == os.getpid()}
        orphans = {pid for pid in strangers if not self._init.is_ours(pid)} - worker
        return orphans | processes.below(worker | orphans, alive)

    def had_job(self) -> bool:
        """Return whether a worker has left a log since we started."""
        return any("/Worker_" in path for path in self._new_logs())

    def last_words(self) -> str:
        """Return the end of the listener's newest log, or "" if it has written none."""
        logs = [path for path in self._new_logs() if "/Runner_" in path]
        return runner.tail(logs[-1]) if logs else ""

    def _new_logs(self) -> list[str]:
        return sorted(runner.diagnostics(self._settings.home) - self._logs_before)


def _named(comm: str, parents: set[int], alive: list[processes.Process]) -> int | None:
    return next((p.pid for p in alive if p.comm == comm and p.parent in parents), None)
