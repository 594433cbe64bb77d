"""The way off GitHub's list: what a child of PID 1 does for the Remover.

Plain blocking code: the deadline of a stop, or its impatience, kills the whole child.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping

from entrypoint import account, github, jit, runner
from entrypoint.deregistration import Registration
from entrypoint.errors import ExitCode, Failure
from entrypoint.github import Api, Runner
from entrypoint.init import Init
from entrypoint.secrets import Vault
from entrypoint.settings import Settings

_BUSY = "is currently running a job"
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
    api = github.connect(settings, vault.read(), deadline - _RESERVE)
    if registration.tidy and runner.registration(settings.home):
        with contextlib.suppress(Failure):  # then the direct way is tried
            halfway = (time.monotonic() + deadline) / 2
            token = github.remove_token(api)
            if _BUSY in _config_remove(settings, environ, token, halfway):
                return False
    found = _found(api, settings, registration)
    while found is None and registration.under_way:
        _pause(deadline - _RESERVE)
        found = _found(api, settings, registration)
    return found is None or github.delete(api, found.id) is not github.Removal.BUSY


def _pause(deadline: float) -> None:
    """Sleep until the next look for a registration that was cut short; Failure at the end."""
    if time.monotonic() + _LOOK_AGAIN > deadline:
        raise Failure(
            ExitCode.LEFT, "it was cut short while it registered, and GitHub may list it yet"
        )
    time.sleep(_LOOK_AGAIN)


def listed(settings: Settings, vault: Vault, registration: Registration, deadline: float) -> bool:
    """Return whether GitHub's list has the runner."""
    api = github.connect(settings, vault.read(), deadline - _RESERVE)
    return _found(api, settings, registration) is not None


def _found(api: Api, settings: Settings, registration: Registration) -> Runner | None:
    """Ask by id where it is known; a registration that was cut short is known by name only."""
    if registration.id is not None:
        return github.get(api, registration.id)
    name = registration.name
    names = jit.names(name) if settings.registration == "jit" else (name,)
    found = (github.find(api, name) for name in names)
    return next((listed for listed in found if listed is not None), None)


def _config_remove(
    settings: Settings, environ: Mapping[str, str], token: str, deadline: float
) -> str:
    """Run `config.sh remove` and return what it said; it is ended early where a job is running.

    Refused because of a job it would try twice more, 1 to 5 seconds apart.
    """
    own = Init()
    user = account.require(settings.user)
    child = own.spawn(
        account.command(settings, user, runner.remove_command(settings)),
        env={**runner.environment(environ, settings, user), runner.TOKEN_VARIABLE: token},
        cwd=settings.home,
        capture=True,
    )
    own.wait_for(lambda: child.outcome is not None or _BUSY in child.output(), deadline, poll=0.05)
    own.end(child)
    return child.output()
