"""What the child that registers does: it asks GitHub for a token and then turns into config.sh.

PID 1 never loads this; its own end of it is registrar.py.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Mapping, MutableMapping
from typing import TYPE_CHECKING, Any

from entrypoint import log, redaction
from entrypoint.container import account
from entrypoint.container.account import Account
from entrypoint.errors import ExitCode, Failure
from entrypoint.github import first_request
from entrypoint.init import child
from entrypoint.registration.register import Marks
from entrypoint.runner import program
from entrypoint.settings.schema import Settings
from entrypoint.vault import Vault, forbid_core_dumps

if TYPE_CHECKING:
    from entrypoint.github.first_request import Known
    from entrypoint.github.runners import Client


def register(
    order: Mapping[str, Any],
    marks: Marks,
    vault: Vault,
    kept: Vault,
    environ: MutableMapping[str, str],
) -> dict[str, Any]:
    """Carry out an order: become config.sh, or return a JIT runner's id and name."""
    environ.update(order["environment"])  # a proxy, for example
    settings = Settings.restore(order["settings"])
    log.configure(settings.log_level, settings.log_format)
    user = account.require(settings.user)
    secrets = vault.read()
    deadline = time.monotonic() + settings.github_timeout

    @functools.cache
    def connect() -> Client:
        from entrypoint.github import runners  # 70 ms, which the shortcut can save

        return runners.connect(settings, secrets, deadline)

    if settings.registration == "jit":
        return _register_jit(connect, settings, order, user, marks)
    token = _token(connect, first_request.ask(settings, secrets, environ, deadline))
    redaction.hide(token)
    kept.fill({program.TOKEN_VARIABLE: token})
    marks.begin()
    _beside(connect, settings.version, order["earlier"], marks)
    forbid_core_dumps()
    return child.become(
        program.as_user(settings, user, program.config_command(settings, order["name"])),
        env={**program.environment(environ, settings, user), program.TOKEN_VARIABLE: token},
        cwd=settings.home,
    )


def _token(connect: Callable[[], Client], known: Known | None) -> str:
    """Return a registration token: the one that is known, or else what the long way leads to."""
    if known and known.token:
        return known.token
    from entrypoint.github import runners

    return runners.registration_token(connect(), known)


def _register_jit(
    connect: Callable[[], Client],
    settings: Settings,
    order: Mapping[str, Any],
    user: Account,
    marks: Marks,
) -> dict[str, Any]:
    from entrypoint.github import jit  # most runners are registered by config.sh

    api = connect()
    marks.begin()
    try:
        found, files = jit.jit_config(api, settings, order["name"])
    except Failure as failure:
        if failure.code is not ExitCode.RETRY:  # only then GitHub may have done it all the same
            marks.take_back()
        raise
    jit.write(files, settings.home, user.uid, user.gid)
    _beside(connect, settings.version, order["earlier"], marks)
    return {"id": found.id, "name": found.name}


def _beside(
    connect: Callable[[], Client], version: str, earlier: Mapping[str, Any] | None, marks: Marks
) -> None:
    """Ask in one more process what must not delay the registration."""
    if not (version or earlier):
        return

    def ask() -> bytes:
        from entrypoint.registration import meanwhile_child  # as above

        if earlier:
            meanwhile_child.remove_earlier(connect(), earlier)
        if version:
            meanwhile_child.advise(connect(), version, marks)
        return b""

    child.Parent().fork(ask, session=False)
