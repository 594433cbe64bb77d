"""The way off GitHub's list, however often it is asked for, and the proof of it.

All that talks to GitHub runs in one child of PID 1, which the deadline of a stop can kill.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from entrypoint import account, call, log, runner
from entrypoint.errors import ExitCode, Failure
from entrypoint.init import Init
from entrypoint.secrets import Vault
from entrypoint.settings import Settings

if TYPE_CHECKING:
    from entrypoint.github import Api, Runner

_BUSY = "is currently running a job"
_CHILD_RESERVE = 0.3  # seconds before the deadline when the child gives up and says why
_LOOK_TIMEOUT = 30.0  # seconds
_ASK_AGAIN = 0.5  # seconds; a runner is busy until GitHub has taken in the end of its job


@dataclass
class Registration:
    """What is known of our registration.

    `possible` means that GitHub may list it. `tidy` means that config.sh may take it back: not
    once a job has run, which could read a token in the environment of config.sh.
    """

    name: str
    id: int | None = None
    possible: bool = False
    tidy: bool = True


class Remover:
    """Takes one registration off the list; `deadline` (time.monotonic()) is set by a stop."""

    def __init__(
        self, pid_1: Init, settings: Settings, vault: Vault, environ: Mapping[str, str], name: str
    ) -> None:
        """Take what is needed at the end; nothing happens until `remove`."""
        self.registration = Registration(name)
        self.deadline: float | None = None
        self._init = pid_1
        self._call = functools.partial(remove, settings, vault, environ, self.registration)
        self._look = functools.partial(listed, settings, vault, self.registration)
        self._timeout = settings.stop_timeout

    def remove(self) -> bool:
        """Return True when the runner is off the list, False if GitHub says that it is busy.

        Raises a Failure (74) if GitHub has not said either by the deadline.
        """
        started = time.monotonic()
        deadline = self.deadline or started + self._timeout
        try:
            removed = call.wait(self._init, functools.partial(self._call, deadline), deadline)
        except Failure as failure:
            raise self._left(f"{failure.message} {failure.hint}") from failure
        if removed is None:
            raise self._left("GitHub did not answer in time")
        if removed:
            self.registration.possible = False
            log.info("off GitHub's list", **self._about(started))
        return bool(removed)

    def listed(self) -> bool:
        """Return whether GitHub's list has the runner; True too where GitHub does not answer."""
        deadline = time.monotonic() + _LOOK_TIMEOUT
        try:
            found = call.wait(self._init, functools.partial(self._look, deadline), deadline)
        except Failure as failure:
            log.warning("could not look at GitHub's list", why=failure.message)
            return True
        return found is not False

    def ensure(self) -> None:
        """Remove, and ask again for as long as GitHub says that the runner is busy."""
        self.deadline = self.deadline or time.monotonic() + self._timeout
        while not self.remove():
            again = time.monotonic() + _ASK_AGAIN
            if again > self.deadline:
                raise self._left("GitHub says that it is running a job")
            self._init.wait_for(lambda: False, again)

    def _about(self, started: float) -> dict[str, object]:
        took = round(time.monotonic() - started, 3)
        return {"name": self.registration.name, "id": self.registration.id, "seconds": took}

    def _left(self, why: str) -> Failure:
        name, number = self.registration.name, self.registration.id
        return Failure(
            ExitCode.LEFT,
            f"the runner {name} (id {number or 'unknown'}) may still be registered: {why}",
            f"remove it on GitHub's page of the runners, or with: gh-runner sweep --prefix {name}",
        )


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
    from entrypoint import github  # noqa: PLC0415 - PID 1 must not load it

    api = github.connect(settings, vault.read(), deadline - _CHILD_RESERVE)
    if registration.tidy and runner.registration(settings.home):
        token = github.remove_token(api)
        if _BUSY in _config_remove(settings, environ, token, deadline):
            return False
    found = _found(api, registration)
    return found is None or github.delete(api, found.id) is not github.Removal.BUSY


def listed(settings: Settings, vault: Vault, registration: Registration, deadline: float) -> bool:
    """Return whether GitHub's list has the runner."""
    from entrypoint import github  # noqa: PLC0415 - PID 1 must not load it

    api = github.connect(settings, vault.read(), deadline - _CHILD_RESERVE)
    return _found(api, registration) is not None


def _found(api: Api, registration: Registration) -> Runner | None:
    """Ask by id where it is known; a registration that was cut short is known by name only."""
    from entrypoint import github  # noqa: PLC0415 - as above

    if registration.id is None:
        return github.find(api, registration.name)
    return github.get(api, registration.id)


def _config_remove(
    settings: Settings, environ: Mapping[str, str], token: str, deadline: float
) -> str:
    """Run `config.sh remove` and return what it said; it is ended early where a job is running.

    Refused because of a job it would try twice more, 1 to 5 seconds apart.
    """
    own = Init()
    user = account.require(settings.user)
    child = own.spawn(
        account.command(user, runner.remove_command(settings)),
        env={**runner.environment(environ, user), runner.TOKEN_VARIABLE: token},
        cwd=settings.home,
        capture=True,
    )
    own.wait_for(lambda: child.outcome is not None or _BUSY in child.output(), deadline, poll=0.05)
    own.end(child)
    return child.output()
