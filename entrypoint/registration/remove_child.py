"""The way off GitHub's list: what a child of PID 1 does for the Remover.

Plain blocking code: the deadline of a stop, or its impatience, kills the whole child.
"""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Mapping

from entrypoint import redaction
from entrypoint.container import account
from entrypoint.errors import ExitCode, Failure
from entrypoint.github import jit, runners
from entrypoint.github.runners import Client, Runner
from entrypoint.init import processes
from entrypoint.init.child import Child
from entrypoint.init.pid1 import Init
from entrypoint.registration.record import Registration
from entrypoint.runner import home, program
from entrypoint.runner.program import WORKER
from entrypoint.settings.credential import Kind
from entrypoint.settings.schema import Settings
from entrypoint.vault import REMOVE_TOKEN, Vault, forbid_core_dumps

_BUSY = "is currently running a job"
_GONE = re.compile(
    "Runner removed successfully|NotFound|404 .Not Found|Does not exist", re.IGNORECASE
)
_LOOK_AGAIN = 0.5  # seconds
_RESERVE = 0.3  # seconds before the deadline when the child gives up and says why


def remove(
    settings: Settings,
    vault: Vault,
    environ: Mapping[str, str],
    registration: Registration,
    deadline: float,
) -> bool:
    """Take it off in the tidy way, then look whether GitHub agrees, and if not delete it by id.

    Returns whether it is off the list; False means that GitHub says it is busy. config.sh can
    say "Skipping" with exit code 0, and its 404 may mean "gone" as well as "token refused".
    """
    secrets = vault.read()
    if REMOVE_TOKEN in secrets or not secrets:
        return _without_credential(settings, environ, secrets.get(REMOVE_TOKEN, ""), deadline)
    api = runners.connect(settings, secrets, deadline - _RESERVE)
    if registration.by_config_sh and home.record(settings.home):
        with contextlib.suppress(Failure):  # then the direct way is tried
            halfway = (time.monotonic() + deadline) / 2
            token = runners.remove_token(api)
            if _BUSY in _config_remove(settings, environ, token, halfway):
                return False
    found = _found(api, settings, registration)
    while found is None and registration.may_appear_later:
        _pause(deadline - _RESERVE)
        found = _found(api, settings, registration)
    return found is None or runners.delete(api, found.id) is not runners.Removal.BUSY


def exchange(settings: Settings, vault: Vault, token: Vault, deadline: float) -> bool:
    """Put a remove-token into another vault, from where `remove` takes it without a credential.

    A registration token, which could make one as well as register, is not kept.
    """
    api = runners.connect(settings, vault.read(), deadline - _RESERVE)
    if api.kind is not Kind.REGISTRATION:
        token.fill({REMOVE_TOKEN: runners.remove_token(api)})
    return True


def _without_credential(
    settings: Settings, environ: Mapping[str, str], token: str, deadline: float
) -> bool:
    """Have config.sh take back an ephemeral runner that has taken its job.

    GitHub drops it after the job, so that "not found" means that it is gone.
    """
    if not token:
        raise Failure(ExitCode.LEFT, "the credential is gone, and there is no remove-token")
    said = _config_remove(settings, environ, token, deadline - _RESERVE)
    if _GONE.search(said):
        return True
    if _BUSY in said:
        return False
    raise Failure(ExitCode.LEFT, f"config.sh remove said: {redaction.redact(said.strip()[-500:])}")


def _pause(deadline: float) -> None:
    """Sleep until the next look for a registration that was cut short; Failure at the end."""
    if time.monotonic() + _LOOK_AGAIN > deadline:
        raise Failure(
            ExitCode.LEFT, "it was cut short while it registered, and GitHub may list it yet"
        )
    time.sleep(_LOOK_AGAIN)


def look(
    settings: Settings, vault: Vault, registration: Registration, deadline: float
) -> Runner | None:
    """Return the runner as GitHub's list has it, or None."""
    api = runners.connect(settings, vault.read(), deadline - _RESERVE)
    return _found(api, settings, registration)


def _found(api: Client, settings: Settings, registration: Registration) -> Runner | None:
    """Ask by id where it is known; a registration that was cut short is known by name only."""
    if registration.id is not None:
        return runners.get(api, registration.id)
    name = registration.name
    names = jit.names(name) if settings.registration == "jit" else (name,)
    found = (runners.find(api, name) for name in names)
    return next((listed for listed in found if listed is not None), None)


def _config_remove(
    settings: Settings, environ: Mapping[str, str], token: str, deadline: float
) -> str:
    """Run `config.sh remove` and return what it said; it is ended early where a job is running.

    Refused because of a job it would try twice more, 1 to 5 seconds apart. And no step of a job
    may find its environment with the token in it: 0.1 s pass between a worker and its first step.
    """
    redaction.hide(token)
    forbid_core_dumps()
    own = Init()
    user = account.require(settings.user)
    child = own.spawn(
        program.as_user(settings, user, program.remove_command(settings)),
        env={**program.environment(environ, settings, user), program.TOKEN_VARIABLE: token},
        cwd=settings.home,
        capture=True,
    )
    own.wait_for(lambda: child.outcome is not None or _busy(child), deadline, poll=0.02)
    said = child.output() + ("" if child.outcome is not None or not _busy(child) else _BUSY)
    own.end(child)
    return said


def _busy(child: Child) -> bool:
    """Whether a job is there, as GitHub says or as a worker shows."""
    alive = processes.snapshot()
    ours = processes.below({os.getppid()}, alive)
    return _BUSY in child.output() or any(p.comm == WORKER for p in alive if p.pid in ours)
