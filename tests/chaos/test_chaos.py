"""Lives with random stops keep every promise, and a promise that is broken on purpose shows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count, islice

import pytest

from simulator import Simulator
from tests.chaos import crowd, phases, report
from tests.chaos.faults import FATAL
from tests.chaos.jobs import ENDLESS
from tests.chaos.plan import START, Plan
from tests.support.life import directory
from tests.support.mutants import Change, body, copy, replace, sampled

SEEDS = range(200)
LIVES, STOPS_IN_WINDOW = 60, 15  # `make exhaustive` lives some thousands
MUTATED_LIVES, MUTATED_AT_A_TIME = 24, 4  # the first life that goes wrong ends the test
FAILING_REMOVAL = {"path": "/actions/runners/[0-9]", "method": "DELETE", "status": 500, "times": 3}


@pytest.fixture(scope="module")
def simulators() -> Iterator[list[Simulator]]:
    """Start as many simulators as lives go on at a time."""
    with crowd.started() as started:
        yield started


def assert_all_well(plans: list[Plan], simulators: list[Simulator]) -> None:
    """Live the plans; a life that goes wrong is shown with its plan."""
    result = crowd.live_all(plans, simulators)
    assert not result.failed, "\n\n".join(report.describe(*failed) for failed in result.failed)


@pytest.mark.timeout(600)
def test_random_lives_keep_every_promise(simulators: list[Simulator]) -> None:
    """The promises hold whatever goes wrong, whatever the job does, whenever a stop comes."""
    plans = phases.varied(SEEDS, LIVES)
    whole = set().union(*(phases.make(seed).kinds for seed in SEEDS))
    assert set().union(*(plan.kinds for plan in plans)) == whole
    assert_all_well(plans, simulators)


@pytest.mark.timeout(600)
def test_no_job_is_lost_to_a_stop_around_its_arrival(simulators: list[Simulator]) -> None:
    """A job gets a result or waits for another runner, even if its worker is not there yet."""
    assert_all_well([phases.make(seed, "window") for seed in range(STOPS_IN_WINDOW)], simulators)


def search(phase: str, fits: Callable[[Plan], bool]) -> Iterator[Plan]:
    """Return the plans of a phase in which a broken promise would show."""
    return (plan for seed in count() if fits(plan := phases.make(seed, phase)))


def job_of(plan: Plan) -> str:
    """Return the shape of the plan's job."""
    return next((action.value for action in plan.actions if action.what == "job"), "")


def stop_of(plan: Plan) -> float:
    """Return the seconds from the event to the first stop."""
    return next(action.at.offset for action in plan.actions if action.what == "signal")


def undisturbed(plan: Plan) -> bool:
    """Return whether the plan has one stop, and neither a fault nor a drain."""
    return len(plan.actions) <= 2 and "RUNNER_DRAIN_TIMEOUT" not in plan.settings


def hasty(phase: str, fits: Callable[[Plan], bool]) -> Iterator[Plan]:
    """Return such plans with a short time for the stop, so that the tests take less."""
    for plan in search(phase, fits):
        plan.settings["RUNNER_STOP_TIMEOUT"] = "4"
        yield plan


def idle_with(fault: dict[str, object]) -> Iterator[Plan]:
    """Return plans of idle runners that meet a fault."""
    for plan in search("idle", lambda plan: len(plan.actions) == 1 and plan.scale <= 0.1):
        plan.settings.pop("RUNNER_REGISTRATION", None)
        plan.add(START, "fault", fault)
        yield plan


MUTATIONS: dict[str, tuple[Change, Iterator[Plan], str]] = {
    "no deregistration once config.sh was interrupted": (
        replace(
            "register._await",
            "pid_1.wait(child, time.monotonic() + CONFIG_GRACE)",
            "OLD\nregistering.progress.take_back()",
        ),
        search("unrecorded", lambda plan: len(plan.actions) == 1),
        "still registered",
    ),
    "signal first, ask second": (
        body("stopping.stop", "listener.interrupt()\nOLD"),
        hasty("window", lambda plan: 0.03 < stop_of(plan) - phases.ARRIVAL.offset < 0.12),
        "in progress",
    ),
    "config.sh is cut short, and nobody looks by name": (
        replace("remove_child._found", "(name,)", "()"),
        idle_with(FATAL[0]),
        "still registered",
    ),
    "config.sh is believed": (
        body("remove_child._found", "return None"),
        idle_with(FAILING_REMOVAL),
        "still registered",
    ),
    "a stubborn job is not killed": (
        body("Listener.kill_job", "pass"),
        hasty(
            "job",
            lambda plan: (
                job_of(plan) in ENDLESS[2:]
                and undisturbed(plan)
                and plan.times["cancel_scale"] == 1
            ),
        ),
        "in progress",
    ),
    "a drained job is cancelled": (
        body("stopping._drained", "return False"),
        search("drain", lambda plan: job_of(plan) == "sleeps"),
        "before the drain's end",
    ),
    "a second stop is lost": (
        replace(
            "Init.handle",
            "self.stop.signals.append(signum)",
            "if self.stop.signals:\n    return\nOLD",
        ),
        hasty("drain", lambda plan: plan.settings["RUNNER_DRAIN_TIMEOUT"] == "60"),
        "did not exit",
    ),
    "nobody is swept": (
        body("Init.sweep", "pass"),
        search("job ends", lambda plan: job_of(plan).startswith("leaves")),
        "alive when PID 1 left",
    ),
    "the exit code is 0 after a stop": (
        replace("life.run", "ExitCode(128 + ...)", "ExitCode.DONE"),
        search("idle", undisturbed),
        "exit code 0",
    ),
    "the registration token is printed": (
        body("runners.remove_token", "def token():\n    OLD\nprint(got := token())\nreturn got"),
        search("idle", lambda plan: "RUNNER_REGISTRATION" not in plan.settings),
        "a runner token is in the log",
    ),
    "the credential is printed": (
        body("remove_child.remove", "print(vault.read())\nOLD"),
        search("idle", undisturbed),
        "the credential is in the log",
    ),
    "a job's arrival is overlooked": (
        body("stopping.job_arrives", "return False"),
        hasty(
            "window",
            lambda plan: plan.jit_given and 0.19 < stop_of(plan) - phases.ARRIVAL.offset < 0.24,
        ),
        "in progress",
    ),
    "a defect ends the program": (
        body("stopping.leave", "raise RuntimeError"),
        search("idle", undisturbed),
        "a traceback is in the log",
    ),
}


@pytest.mark.parametrize("name", sampled(MUTATIONS))
@pytest.mark.timeout(180)
def test_broken_promise_is_noticed(name: str, simulators: list[Simulator]) -> None:
    """Within a few lives chaos tells that the program breaks a promise."""
    change, plans, complaint = MUTATIONS[name]
    with directory() as place:
        source = copy(place, change)
        chosen = list(islice(plans, MUTATED_LIVES))
        few = simulators[:MUTATED_AT_A_TIME]
        result = crowd.live_all(chosen, few, source=source, first_failure_ends=True)
    complaints = [told for _, all_told in result.failed for told in all_told]
    assert any(complaint in told for told in complaints), report.summary(result)
