"""What the child that registers does: it asks GitHub for a token and then turns into config.sh.

PID 1 never loads this; its own end of it is registrar.py.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, MutableMapping
from typing import Any

from entrypoint import account, github, init, log, runner
from entrypoint.account import Account
from entrypoint.errors import ExitCode, Failure
from entrypoint.github import Api
from entrypoint.registrar import Marks
from entrypoint.secrets import Vault, forbid_core_dumps
from entrypoint.settings import Settings


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
    deadline = time.monotonic() + settings.github_timeout
    api = github.connect(settings, vault.read(), deadline)
    if settings.registration == "jit":
        return _register_jit(api, settings, order, user, marks)
    token = github.registration_token(api)
    kept.fill({runner.TOKEN_VARIABLE: token})
    marks.begin()
    _beside(api, settings.version, order["earlier"], marks)
    forbid_core_dumps()
    return init.become(
        account.command(settings, user, runner.config_command(settings, order["name"])),
        env={**runner.environment(environ, settings, user), runner.TOKEN_VARIABLE: token},
        cwd=settings.home,
    )


def _register_jit(
    api: Api, settings: Settings, order: Mapping[str, Any], user: Account, marks: Marks
) -> dict[str, Any]:
    from entrypoint import jit  # noqa: PLC0415 - most runners are registered by config.sh

    marks.begin()
    try:
        found, files = jit.jit_config(api, settings, order["name"])
    except Failure as failure:
        if failure.code is not ExitCode.RETRY:  # only then GitHub may have done it all the same
            marks.take_back()
        raise
    jit.write(files, settings.home, user.uid, user.gid)
    _beside(api, settings.version, order["earlier"], marks)
    return {"id": found.id, "name": found.name}


def _beside(api: Api, version: str, earlier: Mapping[str, Any] | None, marks: Marks) -> None:
    """Ask in one more process, beside the registration, what must not delay it."""
    if not (version or earlier):
        return

    def ask() -> bytes:
        if earlier:
            _remove_earlier(api, earlier)
        if version:
            _advise(api, version, marks)
        return b""

    init.Parent().fork(ask, session=False)


def _remove_earlier(api: Api, earlier: Mapping[str, Any]) -> None:
    """Remove the runner that this container was before it was killed, if nobody is it any more."""
    try:
        found = github.get(api, earlier["id"])
        if found is not None and found.name == earlier["name"] and not found.busy:
            github.delete(api, found.id)
            log.info("removed the runner of an earlier start", name=found.name, id=found.id)
    except Failure as failure:
        log.debug("the runner of an earlier start may still be listed", why=failure.message)


def _advise(api: Api, version: str, marks: Marks) -> None:
    """Ask for how long GitHub accepts this version."""
    from entrypoint import deprecation  # noqa: PLC0415 - only where the version is known

    try:
        if said := deprecation.warning(api, version):
            log.warning(said)
    except Failure as failure:
        marks.give_up(failure)
