"""Plans by seed: the phase of the life in which the first stop comes, and what else happens."""

import random
from collections.abc import Callable, Iterable
from signal import SIGINT, SIGTERM

from tests.chaos import faults, incidents
from tests.chaos.faults import LEFT, RUNNER_FAILED
from tests.chaos.jobs import ENDING, ENDLESS, HANGING, SHAPES
from tests.chaos.plan import (
    ASSIGNED,
    COMPLETED,
    CONFIG,
    DELETING,
    LISTENING,
    REGISTERED,
    REMOVING,
    START,
    TOKEN,
    TOLD,
    WORKING,
    Moment,
    Plan,
)

LONG_DRAIN = 60.0
ARRIVAL = LISTENING.after(0.25)
GOLDEN_RATIO = 0.6180339887


def make(seed: int, phase: str = "") -> Plan:
    """Return the plan of a seed, and of one phase if that is named."""
    rng = random.Random(seed)
    chosen = rng.choice(sorted(PHASES))
    plan = Plan(seed, phase or chosen)
    plan.scale = rng.choice([0.0, 0.0, 0.0, 0.1, 0.1, 0.3, 0.3, 1.0])
    plan.times = {
        "message": 0.05,
        "acquire": 0.13,
        "worker_start": round(rng.uniform(0.03, 0.09), 3),
        "cancel_scale": rng.choice([0.02, 0.1, 1.0]),
        "session_retry": 0.05,
        "dotnet": rng.choice([8, 10]),
        "session_delete": rng.choice([0.05, 0.05, 30.0]),
    }
    plan.poll_seconds = rng.choice([0.2, 1.0, 50.0])
    plan.settings = {"RUNNER_CANCEL_TIMEOUT": str(rng.choice([0.3, 0.6, 1.0, 2.0]))}
    plan.dirty = rng.random() < 0.1
    plan.token_file = rng.random() < 0.5
    if rng.random() < 0.1:
        plan.settings["RUNNER_EPHEMERAL"] = "0"
    if rng.random() < 0.1:
        plan.settings["RUNNER_WATCHDOG"] = "0.2"
    if rng.random() < 0.2:
        plan.settings["RUNNER_REGISTRATION"] = "jit"
        plan.settings.pop("RUNNER_EPHEMERAL", None)
    elif rng.random() < 0.1:
        plan.jit_given = True
        for setting in ("RUNNER_EPHEMERAL", "RUNNER_WATCHDOG"):
            plan.settings.pop(setting, None)
    at = PHASES[plan.phase](rng, plan)
    _stops(rng, plan, at)
    if plan.phase != "window":  # in a window nothing else may move the stop
        incidents.befall(rng, plan)
        faults.disturb(rng, plan)
    return plan


def varied(seeds: Iterable[int], count: int) -> list[Plan]:
    """Return this number of plans; first those with something that no earlier plan has."""
    seen: set[str] = set()
    first: list[Plan] = []
    rest: list[Plan] = []
    for plan in map(make, seeds):
        (rest if plan.kinds <= seen else first).append(plan)
        seen |= plan.kinds
    return [*first, *rest][:count]


def _stops(rng: random.Random, plan: Plan, first: Moment) -> None:
    """Add the first stop, and those of an impatient user after it."""
    signals = (SIGINT, SIGTERM)
    plan.add(first, "signal", int(rng.choice(signals)))
    impatient = plan.seconds("RUNNER_DRAIN_TIMEOUT", 0) == LONG_DRAIN or rng.random() < 0.3
    for number in range(rng.randint(1, 3) if impatient else 0):
        at = rng.choice([TOLD, TOLD, TOLD, REMOVING, DELETING]) if number else TOLD
        late = rng.choice([0.0, 0.05, 0.5, 1.5])
        plan.add(at.after(rng.uniform(0, late)), "signal", int(rng.choice(signals)))


def _start(rng: random.Random, _plan: Plan) -> Moment:
    return START.after(rng.uniform(0, 0.4))


def _token(rng: random.Random, plan: Plan) -> Moment:
    plan.jit_given = False
    delay = round(rng.uniform(0.1, 0.6), 3)
    plan.add(START, "fault", {"path": "/registration-token|/generate-jitconfig", "delay": delay})
    return _asked_first(plan).after(rng.uniform(0, delay))


def _config(rng: random.Random, plan: Plan) -> Moment:
    _by_config_sh(plan)
    plan.times["configure_record"] = round(rng.uniform(0.06, 0.3), 3)
    return CONFIG.after(rng.uniform(0, 0.1))


def _unrecorded(rng: random.Random, plan: Plan) -> Moment:
    """GitHub knows the runner, and `.runner` is not written yet."""
    _by_config_sh(plan)
    record = plan.times["configure_record"] = round(rng.uniform(0.06, 0.4), 3)
    return REGISTERED.after(rng.uniform(0, record))


def _recorded(rng: random.Random, plan: Plan) -> Moment:
    """`.runner` is written; config.sh ends, and run.sh starts."""
    plan.times |= {"configure_record": 0.02, "configure_end": round(rng.uniform(0, 0.3), 3)}
    plan.times["listen_start"] = round(rng.uniform(0.1, 0.5), 3)
    most = plan.times["configure_end"] + plan.times["listen_start"]
    return REGISTERED.after(0.02 + rng.uniform(0, most))


def _idle(rng: random.Random, _plan: Plan) -> Moment:
    return LISTENING.after(rng.uniform(0, 0.4))


def _arrival(rng: random.Random, plan: Plan) -> Moment:
    """A job and a stop come at the same time, give or take half a second."""
    at = LISTENING.after(0.2 + rng.uniform(0, 0.1))
    plan.add(at, "job", _any_shape(rng, plan))
    return at.after(rng.uniform(-0.15, 0.4))


def _window(rng: random.Random, plan: Plan) -> Moment:
    """The stop comes between 0.2 s before and 0.5 s after a job; its worker 0.25 s after it.

    The stops of consecutive seeds are spread evenly.
    """
    plan.scale = 0.0
    plan.times |= {"worker_start": 0.07, "cancel_scale": 1.0, "upload": 0.1}
    plan.settings["RUNNER_CANCEL_TIMEOUT"] = "0.3"
    plan.add(ARRIVAL, "job", rng.choice(["quick", "sleeps", "execs", "ignores signals"]))
    return ARRIVAL.after(-0.2 + 0.7 * (plan.seed * GOLDEN_RATIO % 1))


def _early_job(rng: random.Random, plan: Plan) -> Moment:
    """A job waits already when the listener comes."""
    plan.add(START, "job", _any_shape(rng, plan))
    return LISTENING.after(rng.uniform(0, 0.4))


def _job(rng: random.Random, plan: Plan) -> Moment:
    plan.add(LISTENING.after(rng.uniform(0, 0.1)), "job", _any_shape(rng, plan))
    return WORKING.after(rng.uniform(0, 0.5))


def _job_ends(rng: random.Random, plan: Plan) -> Moment:
    plan.add(LISTENING, "job", rng.choice(ENDING))
    _drain(rng, plan)
    return rng.choice([WORKING.after(rng.uniform(0.1, 0.6)), COMPLETED.after(rng.uniform(0, 0.1))])


def _drained(rng: random.Random, plan: Plan) -> Moment:
    shape = rng.choice([*ENDING, "sleeps", "ignores signals"])
    plan.add(LISTENING, "job", shape)
    plan.settings["RUNNER_DRAIN_TIMEOUT"] = str(
        5.0 if SHAPES[shape].ends else rng.choice([0.7, 60])
    )
    return WORKING.after(rng.uniform(-0.1, 0.2))


def _idle_timeout(rng: random.Random, plan: Plan) -> Moment:
    """The idle time ends, perhaps with a job at the last moment; then a stop comes."""
    plan.settings["RUNNER_IDLE_TIMEOUT"] = "0.5"
    if rng.random() < 0.7:
        plan.add(LISTENING.after(rng.uniform(0.1, 0.6)), "job", _any_shape(rng, plan))
        return rng.choice([LISTENING.after(rng.uniform(0.3, 1)), WORKING.after(rng.uniform(0, 1))])
    return LISTENING.after(rng.uniform(0.3, 0.7))


def _network_gone(rng: random.Random, plan: Plan) -> Moment:
    """About at the stop GitHub's API begins to fail, for a while or for good."""
    first = LISTENING.after(rng.uniform(0.05, 0.3))
    when = rng.choice(["never", "before", "during"])
    if when == "before":
        plan.add(LISTENING, "job", _any_shape(rng, plan))
        first = WORKING.after(rng.uniform(0, 0.3))
    elif when == "during":
        plan.add(TOLD.after(rng.uniform(0, 4)), "job", _any_shape(rng, plan))
    faults.outage(rng, plan, first)
    return first


def _hang(rng: random.Random, plan: Plan) -> Moment:
    """The runner hangs with a job, of which GitHub may give up the lease, and a stop comes."""
    shape = rng.choice(HANGING)
    plan.add(LISTENING.after(rng.uniform(0, 0.3)), "job", shape)
    plan.times |= {"worker_read": 0.3, "upload": 0.1}
    plan.lease_seconds = rng.choice([0.8, 600.0])
    if shape == "never-leaves":
        plan.add(WORKING, "cancel for ever", None)
    if SHAPES[shape].hang not in ("", "listener-stays"):
        plan.honest += [LEFT, RUNNER_FAILED]
    if shape == "never-reads" and plan.lease_seconds < 1:  # GitHub has ended the job itself
        plan.honest.append(0)
    return ASSIGNED.after(rng.uniform(0.3, 2))


def _any_shape(rng: random.Random, plan: Plan) -> str:
    """Return a shape, and set what it needs."""
    shape = rng.choice([*ENDLESS, *ENDING])
    if shape == "cleans up":
        plan.settings["RUNNER_CANCEL_TIMEOUT"] = "4"
        plan.times["cancel_scale"] = 1.0
    elif rng.random() < 0.2:
        _drain(rng, plan)
    return shape


def _drain(rng: random.Random, plan: Plan) -> None:
    plan.settings["RUNNER_DRAIN_TIMEOUT"] = str(rng.choice([0, 0.5, 2, LONG_DRAIN]))


def _by_config_sh(plan: Plan) -> None:
    plan.settings.pop("RUNNER_REGISTRATION", None)
    plan.jit_given = False


def _asked_first(plan: Plan) -> Moment:
    jit = plan.settings.get("RUNNER_REGISTRATION") == "jit"
    return Moment("request", match={"path": "/generate-jitconfig"}) if jit else TOKEN


PHASES: dict[str, Callable[[random.Random, Plan], Moment]] = {
    "start": _start,
    "token": _token,
    "config.sh": _config,
    "unrecorded": _unrecorded,
    "recorded": _recorded,
    "idle": _idle,
    "arrival": _arrival,
    "window": _window,
    "early job": _early_job,
    "job": _job,
    "job ends": _job_ends,
    "drain": _drained,
    "idle timeout": _idle_timeout,
    "network gone": _network_gone,
    "hang": _hang,
}
