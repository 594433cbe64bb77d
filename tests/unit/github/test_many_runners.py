"""A thousand runners from one token, fifty at a time, under a secondary limit."""

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests
from requests.adapters import HTTPAdapter

from entrypoint.github import jit, runners
from entrypoint.settings import runner_names
from simulator import Simulator
from tests.support.settings import parse

RUNNERS, AT_A_TIME = 1000, 50
TOKEN = "ghp_simulator"
LIMIT = {
    "path": "/generate-jitconfig$",
    "status": 403,
    "headers": {"Retry-After": "1"},
    "body": {"message": "You have exceeded a secondary rate limit."},
}


class Patient(HTTPAdapter):
    """Records all requests of one runner, and those that came too early."""

    def __init__(self) -> None:
        super().__init__()
        self.refused = 0
        self.too_early = 0
        self._not_before = 0.0

    def send(self, *arguments: Any, **keywords: Any) -> requests.Response:
        """Send a request, and record the pause that its answer asks for."""
        self.too_early += time.monotonic() < self._not_before
        response = super().send(*arguments, **keywords)
        if "retry-after" in response.headers:
            self.refused += 1
            self._not_before = time.monotonic() + float(response.headers["retry-after"])
        return response


@pytest.mark.timeout(180)
def test_a_thousand_runners(simulator: Simulator) -> None:
    """Each is registered once, although answers are refused and lost."""
    simulator.settings(points_per_minute=0)  # its limit is that of the faults below
    for passed in (100, 400, 700):
        simulator.fault(**LIMIT, skip=passed, times=60)
    simulator.fault(path="/generate-jitconfig$", after=True, reset=True, skip=500, times=5)
    wanted = parse(
        {
            "GITHUB_OWNER": "acme",
            "GITHUB_API_URL": simulator.url,
            "GITHUB_PERSONAL_TOKEN": TOKEN,
            "RUNNER_REGISTRATION": "jit",
        }
    )

    def register(number: int) -> tuple[str, Patient]:
        api = runners.connect(wanted, {"GITHUB_PERSONAL_TOKEN": TOKEN}, time.monotonic() + 120)
        patient = Patient()
        with api.session as session:
            session.mount("http://", patient)
            runner, *_ = jit.jit_config(api, wanted, runner_names.unique(f"r{number}"))
        return runner.name, patient

    with ThreadPoolExecutor(AT_A_TIME) as pool:
        made = list(pool.map(register, range(RUNNERS)))
    names = [name for name, _ in made]
    assert len(set(names)) == RUNNERS
    assert sorted(runner["name"] for runner in simulator.runners()) == sorted(names)
    assert sum(patient.refused for _, patient in made) == 180
    assert sum(patient.too_early for _, patient in made) == 0
