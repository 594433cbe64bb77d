"""RUNNER_FAILURE_PAUSE: the life waits before an end that a new start would only repeat."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from simulator import Simulator
from tests.support.life import Life, until

PAUSE = "3600"  # seconds; no test waits for it


def paused(life: Life) -> None:
    """Wait until the life has begun its pause."""
    until(lambda: "life.paused" in life.output or life.container.exit_code is not None)
    assert life.container.exit_code is None, life.output


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        ({"GITHUB_PERSONAL_TOKEN": "ghp_wrong"}, 77),
        ({"RUNNER_DRAIN_TIMEOUT": "soon"}, 78),
    ],
    ids=["refused", "wrong settings"],
)
def test_nothing_is_tried_meanwhile(
    life: Life, simulator: Simulator, settings: dict[str, str], code: int
) -> None:
    """After its error message the life sends no request during the pause; a stop ends the pause."""
    life.start(RUNNER_FAILURE_PAUSE=PAUSE, **settings)
    paused(life)
    assert life.log[-2]["event"].startswith(f"exit code {code}: ")
    assert f"ends with {code} in 3600 s" in life.log[-1]["event"]
    status = [sys.executable, "-m", "entrypoint", "status", "--state", life.env["RUNNER_STATE_DIR"]]
    assert subprocess.run(status, check=False).returncode == 1  # which a health check tells
    asked = len(simulator.requests())
    begin = time.monotonic()
    assert life.signal().wait() == code
    assert time.monotonic() - begin < 2
    assert len(simulator.requests()) == asked
    assert simulator.runners() == []


def test_setting_from_the_env_file(life: Life) -> None:
    """The env file may set the pause, as any other setting."""
    env_file = life.directory / "env"
    env_file.write_text(f"RUNNER_FAILURE_PAUSE={PAUSE}\n")
    env_file.chmod(0o600)
    life.start(RUNNER_ENVFILE=str(env_file), GITHUB_PERSONAL_TOKEN="ghp_wrong")
    paused(life)
    assert life.signal().wait() == 77


def test_it_ends_when_the_pause_is_over(life: Life) -> None:
    """The life ends with its exit code after the pause, and not before."""
    begin = time.monotonic()
    life.start(RUNNER_FAILURE_PAUSE="1.5", GITHUB_PERSONAL_TOKEN="ghp_wrong")
    assert life.wait() == 77
    assert time.monotonic() - begin >= 1.5


def test_other_ends_wait_for_nothing(life: Life, simulator: Simulator) -> None:
    """After a job, or an error that may be over soon, the life ends without a pause."""
    simulator.queue_job()
    assert life.start(RUNNER_FAILURE_PAUSE=PAUSE).wait() == 0, life.output
    simulator.fault(path="registration-token", times=0, status=503)
    assert life.start(RUNNER_FAILURE_PAUSE=PAUSE, GITHUB_TIMEOUT="1").wait() == 75, life.output
