"""A job that has used up the container's limit of processes."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from simulator import Simulator
from tests.support.life import NAMESPACE, Life

LIMIT = 120


@pytest.fixture
def limited() -> Iterator[Path]:
    """Make a control group for few processes, as `docker run --pids-limit` does."""
    v1 = Path("/sys/fs/cgroup/pids")
    root = v1 if v1.is_dir() else Path("/sys/fs/cgroup")
    group = root / f"gh-runner-{os.getpid()}"
    group.mkdir()
    (group / "pids.max").write_text(str(LIMIT))
    yield group
    deadline = time.monotonic() + 30
    while (group / "cgroup.procs").read_text() and time.monotonic() < deadline:
        time.sleep(0.01)
    group.rmdir()


def test_full_limit_of_processes_does_not_keep_the_runner_registered(
    life: Life, simulator: Simulator, limited: Path
) -> None:
    """If no process can be started, the job is killed first, and then the runner removed."""
    job = simulator.queue_job(
        "trap '' INT TERM; echo begun; while :; do setsid sleep 300 2>/dev/null & done"
    )
    enter = ["sh", "-c", f'echo $$ > {limited}/cgroup.procs; exec "$@"', "sh"]
    life.start(namespace=[*enter, *NAMESPACE], RUNNER_CANCEL_TIMEOUT="1")
    simulator.wait_for("job_output", text="begun")
    current = limited / "pids.current"
    deadline = time.monotonic() + 30
    while int(current.read_text()) < LIMIT - 5 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert life.signal().wait() == 143
    assert simulator.job(job["id"])["status"] == "completed"
    assert simulator.runners() == []
    assert "Traceback" not in life.output
