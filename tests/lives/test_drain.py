"""A drain lets a running job end, and nothing more."""

from __future__ import annotations

from simulator import Simulator
from tests.support.life import Life, until


def test_runner_that_is_not_ephemeral_leaves_after_the_drained_job(
    life: Life, simulator: Simulator
) -> None:
    """The runner leaves after the job, before the drain is over, and takes no other job."""
    end = life.directory / "end"
    job = simulator.queue_job(f"until [ -e {end} ]; do sleep 0.05; done")
    life.start(RUNNER_EPHEMERAL="0", RUNNER_DRAIN_TIMEOUT="60")
    simulator.wait_for("worker_started")
    life.signal()
    until(lambda: "a job is running and may end" in life.output)
    end.touch()
    simulator.wait_for("job_completed")
    assert life.wait(timeout=20) == 0
    assert simulator.job(job["id"])["result"] == "succeeded"
    assert simulator.runners() == []
