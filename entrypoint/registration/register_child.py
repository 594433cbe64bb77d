"""What the child that registers does: it asks GitHub for a token and then becomes config.sh."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Mapping, MutableMapping
from typing import TYPE_CHECKING, Any

from entrypoint import log, redaction
from entrypoint.errors import ExitCode, Failure
from entrypoint.github import first_request
from entrypoint.init import child
from entrypoint.registration.record import Progress
from entrypoint.runner import home, program
from entrypoint.settings.plan import Plan
from entrypoint.settings.schema import Settings
from entrypoint.vault import Vault, forbid_core_dumps

if TYPE_CHECKING:
    from entrypoint.github.client import Client
    from entrypoint.github.first_request import Known


def register(
    order: Mapping[str, Any],
    wait: Callable[[], None],
    progress: Progress,
    vault: Vault,
    kept: Vault,
    environ: MutableMapping[str, str],
) -> tuple[str, int | None]:
    """Carry out the order: become config.sh, or return a JIT configuration's runner: name and id.

    `wait` returns once all that a job needs is ready. The registration token is also put into the
    vault `kept`. Raises a Failure if GitHub refuses.
    """
    environ.update(order["environment"])  # a proxy from the env file, for example
    plan = Plan(order["plan"])
    settings = Settings(**plan.settings)
    log.configure(settings.log_level, settings.log_format)
    log.belongs_to(name=plan.name)
    secrets = vault.read()
    deadline = time.monotonic() + settings.github_timeout

    @functools.cache
    def connect() -> Client:
        from entrypoint.github import runners  # takes 70 ms; not needed after first_request.ask

        return runners.connect(settings, secrets, deadline)

    if settings.registration != "config":
        wait()
    if settings.registration == "given":
        return _take_given(plan, secrets)
    if settings.registration == "jit":
        return _register_jit(connect(), plan, settings, progress)
    token = _token(connect, first_request.ask(settings, secrets, environ, deadline))
    redaction.hide(token)
    kept.fill({program.TOKEN_VARIABLE: token})
    command = [*plan.as_runner, *program.config_command(settings, plan.name)]
    env = {**plan.runner_environment, program.TOKEN_VARIABLE: token}
    forbid_core_dumps()
    wait()
    progress.begin()
    return child.become(command, env=env, cwd=settings.home)


def _token(connect: Callable[[], Client], known: Known | None) -> str:
    """Return a registration token: from the answer to the first request, or by another request."""
    if known and known.token:
        return known.token
    from entrypoint.github import runners

    return runners.registration_token(connect(), known)


def _take_given(plan: Plan, secrets: Mapping[str, str]) -> tuple[str, int | None]:
    from entrypoint.github import jit
    from entrypoint.settings import jit_configuration

    known = jit_configuration.read(secrets["RUNNER_JITCONFIG"])
    jit.write(known.files, plan.home, plan.uid, plan.gid)
    found = home.record(plan.home)
    return known.name, found.id if found else None


def _register_jit(
    api: Client, plan: Plan, settings: Settings, progress: Progress
) -> tuple[str, int | None]:
    from entrypoint.github import jit  # only here, because most runners register by config.sh

    progress.begin()
    try:
        made = jit.jit_config(api, settings, plan.name)
    except Failure as failure:
        # After a RETRY the answer may have got lost, so GitHub may list the runner all the same.
        if failure.code != ExitCode.RETRY:
            progress.take_back()
        raise
    jit.write(made.files, plan.home, plan.uid, plan.gid)
    return made.runner.name, made.runner.id
