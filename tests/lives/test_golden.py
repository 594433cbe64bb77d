"""What an operator reads in each kind of life: the whole log, as reviewed golden files.

`make test ARGS=tests/lives/test_golden.py GOLDEN=write` writes the files in tests/data/golden anew.
Read each change in them as an operator would, before it is committed.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.support import golden
from tests.support.life import Life, until

TOKENS = "/registration-token$"
# Time between two lines, so that a file that is written has them in the order of an ordinary life.
UNHURRIED = {"listen_start": 0.8, "worker_start": 0.2, "upload": 0.3}


def job(life: Life, code: int = 0) -> int:
    """A job that comes at once, and ends with that code once PID 1 has seen it."""
    end = begun(life, code=code)
    end.touch()
    return life.wait()


def begun(life: Life, *, code: int = 0, **settings: str) -> Path:
    """A job that has begun, and ends when the file is there whose path is returned."""
    end = life.directory / "end"
    script = f"until [ -e {end} ]; do sleep 0.05; done; exit {code}"
    life.simulator.queue_job(script, name="build")
    life.start(**settings)
    until(lambda: "a job has begun" in life.output)
    return end


def cancelled(life: Life) -> int:
    """A job that somebody cancels at GitHub."""
    begun(life)
    [queued] = life.simulator.jobs()
    life.simulator.cancel_job(queued["id"])
    return life.wait()


def refused(life: Life, **fault: Any) -> int:
    """A first request that GitHub refuses."""
    life.simulator.fault(path=TOKENS, times=0, **fault)
    return life.start().wait()


def listening(life: Life, **settings: str) -> Life:
    """An idle runner."""
    life.start(**settings)
    life.simulator.wait_for("listening")
    until(lambda: "Listening for Jobs" in life.output)
    return life


def stopped(life: Life, signum: int = signal.SIGTERM) -> int:
    """A stop of an idle runner."""
    return listening(life).signal(signum).wait()


def without_github(life: Life) -> int:
    """A stop while GitHub has trouble."""
    # A further try would have to wait for longer than the stop may take, so there is none.
    trouble = {"status": 503, "headers": {"retry-after": "30"}}
    listening(life, RUNNER_VERSION="", RUNNER_RELEASED="")
    life.simulator.fault(path="/actions/runners/", times=0, **trouble)
    return life.signal().wait()


def stopped_in_a_job(life: Life, drain: str = "0") -> int:
    """A stop in a job, which then ends by itself or by the stop."""
    end = begun(life, RUNNER_DRAIN_TIMEOUT=drain)
    life.signal()
    if drain != "0":
        until(lambda: "a job is running and may end" in life.output)
        end.touch()
    return life.wait()


LIVES: dict[str, tuple[Callable[[Life], int], int]] = {
    "job-succeeds": (job, 0),
    "job-fails": (partial(job, code=3), 0),
    "job-cancelled": (cancelled, 0),
    "idle-time-out": (lambda life: life.start(RUNNER_IDLE_TIMEOUT="3").wait(), 0),
    "token-unknown": (lambda life: life.start(GITHUB_PERSONAL_TOKEN="ghp_wrong000").wait(), 77),
    "token-without-permission": (partial(refused, refusal="not-accessible"), 77),
    "repository-unknown": (partial(refused, refusal="not-found"), 77),
    "rate-limit": (partial(refused, refusal="rate-limit"), 75),
    "settings-wrong": (
        lambda life: life.start(
            GITHUB_OWNER="", RUNNER_EPHEMERAL="maybe", RUNNER_IDLE_TIMEOUT="10m"
        ).wait(),
        78,
    ),
    "stop-when-idle": (stopped, 143),
    "interrupt-when-idle": (partial(stopped, signum=signal.SIGINT), 130),
    "stop-in-a-job": (stopped_in_a_job, 143),
    "stop-with-drain": (partial(stopped_in_a_job, drain="60"), 0),
    "stop-without-github": (without_github, 74),
}


@pytest.mark.parametrize("form", ["console", "json"])
@pytest.mark.parametrize("name", LIVES)
def test_what_an_operator_reads(name: str, form: str, new_life: Callable[..., Life]) -> None:
    """The log of a life is that of its golden file, from the first line to the last."""
    life = new_life(**(UNHURRIED if golden.WRITES else {}))
    life.env |= {"RUNNER_VERSION": "2.336.0", "RUNNER_RELEASED": "2026-08-20"}
    life.env["RUNNER_LOG_FORMAT"] = "" if form == "console" else form
    run, code = LIVES[name]
    assert run(life) == code, life.output
    golden.check(f"{name}.{'txt' if form == 'console' else 'jsonl'}", life.output)
