"""The figures of one runner's life: how long its phases took, and what it cost."""

from __future__ import annotations

import time

from entrypoint import api_usage, call, log
from entrypoint.container import kernel
from entrypoint.errors import Failure
from entrypoint.init import processes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from entrypoint.errors import ExitCode
    from entrypoint.init.child import Child
    from entrypoint.init.pid1 import Init

UNWRITTEN = "RUNNER_METRICS_FILE cannot be written"
_WRITE_TIME = 2.0  # seconds that writing RUNNER_METRICS_FILE may take


class Figures:
    """The moments of a runner's life (time.monotonic()), by name, in the order they came."""

    def __init__(self) -> None:
        """Mark the moment `started`."""
        self._moments = {"started": time.monotonic()}
        self.run_sh: Child | None = None
        self._listener_cpu: float | None = None
        self.name = self.file = ""  # of the runner; RUNNER_METRICS_FILE
        # What the last line says beside the exit code: in words, and of the job in fields.
        self.ending = ""
        self.job: dict[str, str] = {}
        self.told_worker: tuple[Child | None, ...] = ()  # that of the last job whose end was told

    def forget_job(self) -> None:
        """Leave the job out of the last line, because the runner goes on after it."""
        self.ending, self.job = "", {}

    def mark(self, name: str) -> None:
        """Note that a moment has come; only the first call with a name counts."""
        self._moments.setdefault(name, time.monotonic())

    def note_listener(self, pid: int | None) -> None:
        """Note the listener's processor time so far, so that a job's can be told from it."""
        if pid is not None and (seconds := processes.processor_seconds(pid)) is not None:
            self._listener_cpu = seconds

    def summary(self) -> dict[str, Any]:
        """Return all known figures; times in seconds, memory in bytes."""
        self.mark("ended")
        made, again, left = api_usage.totals()
        found = {
            "life_seconds": self._between("started", "ended"),
            "registration_seconds": self._between("started", "registered"),
            "session_seconds": self._between("started", "listening"),
            "idle_seconds": self._between("listening", self._end_of_idleness()),
            "job_seconds": self._between("job_started", "job_ended"),
            "stop_seconds": self._between("stop_requested", "ended"),
            "github_requests": made,
            "github_requests_repeated": again,
            "github_rate_limit_left": left,
            "container_memory_peak_bytes": kernel.memory_peak(),
            "container_cpu_seconds": kernel.cpu_seconds(),
        }
        run_sh = self.run_sh
        if run_sh is not None and run_sh.usage is not None:
            # What wait4(2) returns for run.sh includes its descendants that were waited for:
            # listener, worker and job.
            whole = run_sh.usage.ru_utime + run_sh.usage.ru_stime
            found["runner_cpu_seconds"] = round(whole, 3)
            found["runner_memory_peak_bytes"] = run_sh.usage.ru_maxrss * 1024
            if self._listener_cpu is not None:
                found["listener_cpu_seconds"] = round(self._listener_cpu, 3)
                found["job_cpu_seconds"] = round(max(0.0, whole - self._listener_cpu), 3)
        return {name: value for name, value in found.items() if value is not None}

    def has(self, name: str) -> bool:
        """Return whether a moment has come."""
        return name in self._moments

    def _end_of_idleness(self) -> str:
        return next(name for name in ("job_started", "stop_requested", "ended") if self.has(name))

    def _between(self, first: str, last: str) -> float | None:
        if not (self.has(first) and self.has(last)):
            return None
        return round(self._moments[last] - self._moments[first], 3)

    def write(self, pid_1: Init, code: ExitCode, found: dict[str, Any]) -> None:
        """Write RUNNER_METRICS_FILE if it is set; log one warning if that fails."""
        if not self.file:
            return

        def in_child() -> str:
            from entrypoint.lifecycle import metrics_child  # loads the Prometheus client

            return metrics_child.write(self.file, self.name, int(code), found)

        try:
            why = call.wait(pid_1, in_child, time.monotonic() + _WRITE_TIME)
        except (Failure, OSError) as error:
            why = str(error)
        if why != "":
            log.warning("metrics.unwritten", UNWRITTEN, why=why or "late")
