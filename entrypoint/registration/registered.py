"""One registration: made by config.sh, undone whatever happens."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from entrypoint import call, log
from entrypoint.errors import ExitCode, Failure
from entrypoint.init.pid1 import Init, Stopped
from entrypoint.registration.register import Registrar
from entrypoint.registration.remove import Registration, Remover
from entrypoint.runner import home
from entrypoint.settings.schema import Settings

CONFIG_TIMEOUT = 120.0  # seconds; config.sh takes one, and 3 to 9 where it tries again
CONFIG_GRACE = 3.0  # seconds that config.sh may go on when a stop arrives


@contextmanager
def registered(
    pid_1: Init, registrar: Registrar, settings: Settings, remover: Remover
) -> Iterator[Registration]:
    """Register; on the way out see to it that GitHub's list has the runner no more."""
    registration = remover.registration
    try:
        _configure(pid_1, registrar, settings, remover)
        yield registration
    finally:
        pid_1.begin_cleanup()
        if registration.possible:
            remover.ensure()


def _configure(pid_1: Init, registrar: Registrar, settings: Settings, remover: Remover) -> None:
    child, registration = registrar.child, remover.registration
    started = time.monotonic()
    registrar.order(registration.name)
    try:
        outcome = _await(pid_1, registrar, remover, started + settings.github_timeout)
    finally:
        cut_short = child.outcome is None
        # Said before it is ended, too: a stop may come meanwhile, and be raised there.
        registration.possible = registration.under_way = cut_short
        pid_1.end(child)
        registration.possible = registrar.marks.begun()
        record = home.record(settings.home)
        registration.id = record.id if record else None
        registration.under_way = cut_short and registration.id is None
    if child.answer():
        registration.name = call.result(child)["name"]
        registration.tidy = False  # a JIT runner leaves as it came, without config.sh
    elif outcome != 0:
        raise _config_failed(outcome, registrar.output(pid_1))
    registrar.token.forget()
    took = round(time.monotonic() - started, 3)
    log.info("registered", name=registration.name, id=registration.id, seconds=took)
    registrar.marks.check_version()


def _await(pid_1: Init, registrar: Registrar, remover: Remover, asked_by: float) -> int | None:
    """Wait for the end of config.sh, or what is left of it after a stop."""
    child = registrar.child
    try:
        return pid_1.wait(child, asked_by + CONFIG_TIMEOUT)
    except Stopped:
        remover.hasten()
        # Whoever is killed, a request that is under way succeeds: better to let it end, also for
        # who is impatient, since without its end we could only wait for what GitHub does.
        if registrar.marks.begun():
            pid_1.wait(child, time.monotonic() + CONFIG_GRACE)
        raise


def _config_failed(outcome: int | None, output: str) -> Failure:
    told = "did not end" if outcome is None else f"ended with {outcome}"
    code = ExitCode.RUNNER
    if "Could not find any self-hosted runner group" in output:
        code = ExitCode.CONFIG
    said = "\n".join(line for line in output.splitlines() if line.strip())[-2000:]
    return Failure(code, f"config.sh {told} and said:\n{said}")
