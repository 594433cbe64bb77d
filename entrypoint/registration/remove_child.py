"""Removing the runner from GitHub's list: what a child of PID 1 does for the Remover.

This is plain blocking code: at a deadline, or at a further stop, PID 1 kills the whole child. Each
`deadline` is a moment of time.monotonic().
"""

from __future__ import annotations

import contextlib
import os
import re
import time

from entrypoint import log, redaction
from entrypoint.errors import ExitCode, Failure
from entrypoint.github import jit, runners
from entrypoint.github.client import Client
from entrypoint.github.runners import Runner
from entrypoint.init import processes
from entrypoint.init.child import Child
from entrypoint.init.pid1 import Init
from entrypoint.registration.record import Registration
from entrypoint.runner import home, program
from entrypoint.runner.listener import WORKER
from entrypoint.settings.credential import Kind
from entrypoint.settings.plan import Plan
from entrypoint.settings.schema import Settings
from entrypoint.vault import REMOVE_TOKEN, Vault, forbid_core_dumps

_BUSY = "is currently running a job"
_GONE = re.compile(
    "Runner removed successfully|NotFound|404 .Not Found|Does not exist", re.IGNORECASE
)
_LOOK_AGAIN = 0.5  # seconds
_RESERVE = 0.3  # seconds before the deadline: then the child gives up and says why


def remove(plan: Plan, vault: Vault, registration: Registration, deadline: float) -> bool:
    """Remove the runner by config.sh if that may be used, and then by its id if it is still listed.

    Returns False if GitHub says that the runner is busy, and True once it is off the list.
    """
    settings, secrets = Settings(**plan.settings), vault.read()
    if REMOVE_TOKEN in secrets or not secrets:
        return _without_credential(plan, secrets.get(REMOVE_TOKEN, ""), deadline)
    api = runners.connect(settings, secrets, deadline - _RESERVE)
    by_config_sh = registration.by_config_sh and home.record(settings.home) is not None
    log.debug("life.decision", _way(settings, registration, by_config_sh=by_config_sh))
    if by_config_sh:
        with contextlib.suppress(Failure):  # then delete it by its id, below
            halfway = (time.monotonic() + deadline) / 2
            token = runners.remove_token(api)
            if _BUSY in _config_remove(plan, token, halfway):
                return False
    # Ask GitHub in any case: config.sh can print "Skipping" and end with 0, and its 404 means "the
    # runner is gone" as well as "the token is refused".
    found = _found(api, settings, registration)
    while found is None and registration.may_appear_later:
        _pause(deadline - _RESERVE)
        found = _found(api, settings, registration)
    return found is None or runners.delete(api, found.id) is not runners.Removal.BUSY


def _way(settings: Settings, registration: Registration, *, by_config_sh: bool) -> str:
    """Return how the runner is removed, and why so, for the log."""
    if by_config_sh:
        return "config.sh removes the runner: no job is there that could read its token"
    why = "a job may be there that could read config.sh's token, or a stop leaves no time for it"
    if registration.by_config_sh:
        why = "the runner's files have no record for config.sh"
    elif settings.registration == "jit":
        why = "config.sh has not registered it"
    elif not settings.ephemeral:
        why = "processes of earlier jobs could read config.sh's token"
    return f"the runner is deleted by its {'id' if registration.id else 'name'}: {why}"


def exchange(plan: Plan, vault: Vault, token: Vault, deadline: float) -> bool:
    """Put a remove-token into the vault `token`, for a `remove` without the credential.

    A registration token is not put there, because a job that finds it could register runners.
    """
    api = runners.connect(Settings(**plan.settings), vault.read(), deadline - _RESERVE)
    if api.kind is not Kind.REGISTRATION:
        token.fill({REMOVE_TOKEN: runners.remove_token(api)})
    return True


def _without_credential(plan: Plan, token: str, deadline: float) -> bool:
    """Have config.sh remove an ephemeral runner that has had its job.

    GitHub itself removes such a runner after the job, so "not found" means that it is gone.
    """
    if not token:
        raise Failure(ExitCode.LEFT, "the credential is gone, and there is no remove-token")
    said = _config_remove(plan, token, deadline - _RESERVE)
    if _GONE.search(said):
        return True
    if _BUSY in said:
        return False
    raise Failure(ExitCode.LEFT, f"config.sh remove said: {redaction.redact(said.strip()[-500:])}")


def _pause(deadline: float) -> None:
    """Sleep until the next look for a registration that was cut short. Failure at the deadline."""
    if time.monotonic() + _LOOK_AGAIN > deadline:
        raise Failure(
            ExitCode.LEFT, "it was cut short while it registered, and GitHub may list it yet"
        )
    time.sleep(_LOOK_AGAIN)


def look(plan: Plan, vault: Vault, registration: Registration, deadline: float) -> Runner | None:
    """Return the runner's entry on GitHub's list, or None."""
    settings = Settings(**plan.settings)
    api = runners.connect(settings, vault.read(), deadline - _RESERVE)
    return _found(api, settings, registration)


def _found(api: Client, settings: Settings, registration: Registration) -> Runner | None:
    """Return the runner's entry by its id, or by its name if it was cut short and has no id yet."""
    if registration.id is not None:
        return runners.get(api, registration.id)
    name = registration.name
    names = jit.names(name) if settings.registration == "jit" else (name,)
    found = (runners.find(api, name) for name in names)
    return next((listed for listed in found if listed is not None), None)


def _config_remove(plan: Plan, token: str, deadline: float) -> str:
    """Run `config.sh remove` and return its output; kill it early if there is a job."""
    redaction.hide(token)
    forbid_core_dumps()
    own = Init()
    child = own.spawn(
        [*plan.as_runner, f"{plan.home}/config.sh", "remove"],
        env={**plan.runner_environment, program.TOKEN_VARIABLE: token},
        cwd=plan.home,
        capture=True,
    )
    # If there is a job, config.sh is refused and tries twice more, 1 to 5 seconds apart. And no
    # step of a job may read the token in its environment: a worker begins the first step 0.1 s
    # after its start. So kill config.sh at the first sign of a job.
    own.wait_for(lambda: child.outcome is not None or _busy(child), deadline, poll=0.02)
    said = child.output() + ("" if child.outcome is not None or not _busy(child) else _BUSY)
    own.end(child)
    return said


def _busy(child: Child) -> bool:
    """Whether there is a job: config.sh prints that GitHub says so, or a worker is alive."""
    alive = processes.snapshot()
    ours = processes.below({os.getppid()}, alive)
    return _BUSY in child.output() or any(p.comm == WORKER for p in alive if p.pid in ours)
