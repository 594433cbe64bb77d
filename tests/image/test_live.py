"""The scenarios for github.com, run on the simulator."""

from __future__ import annotations

import pytest

from simulator import Simulator
from tests.image.conftest import RunOptions
from tests.image.engine import Engine
from tests.live import scenarios
from tests.live.scenarios import Scenario, Stage

SCRIPTS = {"quick": "true", "endless": "trap '' INT TERM; while :; do sleep 0.2; done"}
CONCLUSIONS = {"succeeded": "success", "failed": "failure", "cancelled": "cancelled"}


class StandIn:
    """The simulator, seen as the scenarios see GitHub."""

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator

    def runners(self) -> dict[str, str]:
        """Return the status of each runner on the list, by its name."""
        return {runner["name"]: runner["status"] for runner in self._simulator.runners()}

    def dispatch(self, label: str, kind: str) -> None:
        """Queue a job of that kind for the runner with this label."""
        self._simulator.queue_job(SCRIPTS[kind], name=label, labels=["self-hosted", label])

    def job(self, label: str) -> tuple[str, str]:
        """Return the status of the job for this label, and its conclusion, each "" if none."""
        found = next(job for job in self._simulator.jobs() if job["name"] == label)
        return found["status"], CONCLUSIONS.get(found["result"], "")


@pytest.mark.parametrize(
    "scenario",
    [scenarios.job, scenarios.idle, scenarios.endless],
    ids=lambda scenario: scenario.__name__,
)
def test_scenario(
    scenario: Scenario,
    docker: Engine,
    image: str,
    network: str,
    run_options: RunOptions,
    github: Simulator,
) -> None:
    """Each scenario holds on the simulator, which shows that the scenario's own code works."""
    options = [*run_options(RUNNER_CANCEL_TIMEOUT="1"), "--network", network, image]
    scenario(Stage(StandIn(github), docker, options, "live", pause=0.1))
