"""The figures of a life: in the last event, and in a file for Prometheus."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from simulator import Simulator
from tests.support.life import NAMESPACE, Life


def figures(life: Life) -> dict[str, Any]:
    """Return the figures of the last event."""
    last = life.log[-1]
    assert last["event_name"] == "life.ended"
    found: dict[str, Any] = last["figures"]
    return found


def samples(file: Path) -> dict[str, float]:
    """Return the samples that Prometheus' own parser reads from a file."""
    families = text_string_to_metric_families(file.read_text())
    return {sample.name: sample.value for family in families for sample in family.samples}


def test_the_last_event_carries_them(life: Life, simulator: Simulator) -> None:
    """The last event has durations, requests, memory and processor time of the life."""
    simulator.queue_job("exit 0")
    assert life.start().wait() == 0
    found = figures(life)
    assert found["github_requests"] == 1
    assert found["github_requests_repeated"] == 0
    assert 0 < found["registration_seconds"] < found["life_seconds"]
    assert found["job_seconds"] > 0
    assert found["runner_memory_peak_bytes"] > 1 << 20
    assert found["runner_cpu_seconds"] > 0


def test_a_job_that_computes(life: Life, simulator: Simulator) -> None:
    """A job's processor time is told apart from the listener's."""
    simulator.queue_job("timeout 1 sh -c 'while :; do :; done'; true")
    assert life.start().wait() == 0
    found = figures(life)
    listener, job = found["listener_cpu_seconds"], found["job_cpu_seconds"]
    assert 0 <= listener < job  # the kernel counts in hundredths of a second
    assert listener + job == pytest.approx(found["runner_cpu_seconds"], abs=0.01)


def test_further_tries_are_counted(life: Life, simulator: Simulator) -> None:
    """Requests that had to be repeated are counted."""
    simulator.fault(path="/registration-token", status=503, times=2)
    simulator.queue_job("exit 0")
    assert life.start().wait() == 0
    assert figures(life)["github_requests_repeated"] == 2


def test_a_file_for_each_runner(life: Life, simulator: Simulator) -> None:
    """Each runner has a file of its own in the directory; old ones of this kind are deleted."""
    folder = life.directory / "metrics"
    folder.mkdir()
    old, other = folder / "gh-runner-old.prom", folder / "other.prom"
    for file in (old, other):
        file.touch()
        os.utime(file, (time.time() - 200_000,) * 2)
    simulator.queue_job("exit 0")
    assert life.start(RUNNER_METRICS_FILE=f"{folder}/").wait() == 0
    [file] = folder.glob("gh-runner-*.prom")
    assert other.exists()
    found = samples(file)
    assert found["gh_runner_exit_code"] == 0
    assert found["gh_runner_github_requests"] == 1


@pytest.mark.parametrize(
    ("script", "why"),
    [
        (
            "mkdir {0}; mount -t tmpfs -o size=4k none {0}; head -c 4096 /dev/zero >{0}/full",
            "space",
        ),
        ("mkdir {0}; mount -t tmpfs -o ro none {0}", "Read-only file system"),
    ],
    ids=["full disk", "read-only"],
)
def test_a_file_that_cannot_be_written(
    script: str, why: str, life: Life, simulator: Simulator
) -> None:
    """The life goes on, and one warning says why there is no file."""
    simulator.queue_job("exit 0")
    folder = life.directory / "metrics"
    prepared = f'{script.format(folder)}; exec "$0" "$@"'
    life.start(
        namespace=[*NAMESPACE, "sh", "-c", prepared], RUNNER_METRICS_FILE=f"{folder}/runner.prom"
    )
    assert life.wait() == 0
    [warning] = [line for line in life.log if line["event_name"] == "metrics.unwritten"]
    assert why in warning["why"]
