"""What the child that registers does: it asks GitHub for a token and then becomes config.sh."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Mapping, MutableMapping
from typing import TYPE_CHECKING, Any

from entrypoint import log, redaction
from entrypoint.container import account
from entrypoint.errors import ExitCode, Failure
from entrypoint.github import first_request
from entrypoint.init import child
from entrypoint.registration.record import Progress
from entrypoint.runner import program
from entrypoint.settings.schema import Settings
from entrypoint.vault import Vault, forbid_core_dumps

if TYPE_CHECKING:
    from entrypoint.github.first_request import Known
    from entrypoint.github.runners import Client


def register(
    order: Mapping[str, Any],
    wait: Callable[[], None],
    progress: Progress,
    vault: Vault,
    kept: Vault,
    environ: MutableMapping[str, str],
) -> str:
    """Carry out the order: become config.sh, or return the name of a JIT configuration's runner.

    `wait` returns once all that a job needs is ready. The registration token is also put into the
    vault `kept`. Raises a Failure if GitHub refuses.
    """
    environ.update(order["environment"])  # a proxy from the env file, for example
    settings = Settings.restore(order["settings"])
    log.configure(settings.log_level, settings.log_format)
    log.belongs_to(name=order["name"])
    secrets = vault.read()
    deadline = time.monotonic() + settings.github_timeout

    @functools.cache
    def connect() -> Client:
        from entrypoint.github import runners  # takes 70 ms; not needed after first_request.ask

        return runners.connect(settings, secrets, deadline)

    if settings.registration != "config":
        wait()
    if settings.registration == "given":
        return _take_given(settings, secrets)
    if settings.registration == "jit":
        return _register_jit(connect(), settings, order["name"], progress)
    token = _token(connect, first_request.ask(settings, secrets, environ, deadline))
    redaction.hide(token)
    kept.fill({program.TOKEN_VARIABLE: token})
    user = account.require(settings.user)
    command = program.as_user(settings, user, program.config_command(settings, order["name"]))
    env = {**program.environment(environ, settings, user), program.TOKEN_VARIABLE: token}
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


def _take_given(settings: Settings, secrets: Mapping[str, str]) -> str:
    from entrypoint.github import jit
    from entrypoint.settings import jit_configuration

    known = jit_configuration.read(secrets["RUNNER_JITCONFIG"])
    user = account.require(settings.user)
    jit.write(known.files, settings.home, user.uid, user.gid)
    return known.name


def _register_jit(api: Client, settings: Settings, name: str, progress: Progress) -> str:
    from entrypoint.github import jit  # only here, because most runners register by config.sh

    progress.begin()
    try:
        made = jit.jit_config(api, settings, name)
    except Failure as failure:
        # After a RETRY the answer may have got lost, so GitHub may list the runner all the same.
        if failure.code is not ExitCode.RETRY:
            progress.take_back()
        raise
    user = account.require(settings.user)
    jit.write(made.files, settings.home, user.uid, user.gid)
    return made.runner.name
