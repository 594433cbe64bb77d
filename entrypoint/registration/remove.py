"""What is known of a registration, and the order to take it off GitHub's list.

The work itself is done by a child (removal.py), which a stop can hurry and a deadline end.
"""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from entrypoint import call, log
from entrypoint.errors import ExitCode, Failure
from entrypoint.init.child import Child
from entrypoint.init.pid1 import Init
from entrypoint.settings.schema import Settings
from entrypoint.vault import Vault

_LOOK_TIMEOUT = 30.0  # seconds
_STORM_GRACE = 0.5  # seconds between TERM and KILL
_EXCHANGE_TIMEOUT = 20.0  # seconds; a job waits for it
_ASK_AGAIN = 0.5  # seconds; a runner is busy until GitHub has taken in the end of its job


@dataclass
class Registration:
    """What is known of our registration.

    `possible` means that GitHub may list it; `under_way`, that its request was cut short, and
    GitHub may list it later although it does not now. `tidy` means that config.sh may take it
    back: not once a job may be there, which could read a token in the environment of config.sh.
    """

    name: str
    id: int | None = None
    possible: bool = False
    under_way: bool = False
    tidy: bool = True


class Remover:
    """Takes one registration off the list, and hurries when a stop wants it to.

    `deadline` (time.monotonic()) is when a stop must be over; infinite before there is one.
    `beside` is called whenever news wakes us while GitHub is asked.
    """

    def __init__(
        self, pid_1: Init, settings: Settings, vault: Vault, environ: Mapping[str, str], name: str
    ) -> None:
        """Take what is needed at the end; nothing happens until `remove`."""
        self.registration = Registration(name, tidy=settings.ephemeral)
        self.has_let_go = False  # of the credential
        self.deadline = math.inf
        self.beside: Callable[[], None] = lambda: None
        self._init = pid_1
        self._settings = settings
        self._vault = vault
        self._environ = environ

    def hasten(self) -> None:
        """Begin the time that a stop may take."""
        self.deadline = time.monotonic() + self._settings.stop_timeout

    def remove(self, until: float = math.inf) -> bool:
        """Return True when the runner is off the list, False if GitHub says that it is busy.

        Raises a Failure (74) if GitHub has not said either by `until` or by the deadline.
        """
        started = time.monotonic()
        try:
            removed = self._remove(min(until, started + self._settings.github_timeout))
        except Failure as failure:
            raise self._left("; ".join(filter(None, (failure.message, failure.hint)))) from None
        if removed is None:
            raise self._left("GitHub did not answer in time")
        if removed:
            self.registration.possible = False
            took = round(time.monotonic() - started, 3)
            log.info("off GitHub's list", name=self.registration.name, seconds=took)
        return removed

    def _remove(self, until: float) -> bool | None:
        """Have it done by a child; a further stop means the quick way. None if time is up."""
        registration, stops = self.registration, len(self._init.stops)
        deadline = min(until, self.deadline)
        child = call.start(self._init, functools.partial(self._in_child, deadline))
        try:
            self._init.wait_for(lambda: self._is_over(child, stops), deadline)
            if child.outcome is not None:
                removed: bool = call.result(child)
                return removed
        finally:
            call.end(self._init, child)
        if not self._hurried(stops):
            return None
        registration.tidy = False
        if self.deadline == math.inf:
            self.hasten()
        return self._remove(until)

    def _is_over(self, child: Child, stops: int) -> bool:
        self.beside()
        return child.outcome is not None or self._hurried(stops)

    def _hurried(self, stops: int) -> bool:
        """Whether a stop has come that shortens what is going on."""
        can_be_shortened = self.registration.tidy or self.deadline == math.inf
        return can_be_shortened and len(self._init.stops) > stops

    def _in_child(self, deadline: float) -> bool:
        from entrypoint.registration import remove_child  # PID 1 must not load what it needs

        return remove_child.remove(
            self._settings, self._vault, self._environ, self.registration, deadline
        )

    def let_go(self) -> None:
        """Exchange the credential for a remove-token, and forget it even if that has failed.

        Raises Stopped, and then the credential is still there.
        """
        if self.has_let_go:
            return
        token, deadline = Vault(), time.monotonic() + _EXCHANGE_TIMEOUT
        exchange = functools.partial(self._exchange_in_child, token, deadline)
        try:
            if call.wait(self._init, exchange, deadline) is None:
                log.warning("GitHub gave no remove-token in time", seconds=_EXCHANGE_TIMEOUT)
        except Failure as failure:
            log.warning("GitHub gave no remove-token", why=failure.message, hint=failure.hint)
        self._vault.forget()
        self._vault, self.has_let_go = token, True

    def _exchange_in_child(self, token: Vault, deadline: float) -> bool:
        from entrypoint.registration import remove_child  # as above

        return remove_child.exchange(self._settings, self._vault, token, deadline)

    def listed(self) -> bool:
        """Return whether GitHub's list has the runner; True too where nobody can tell."""
        if self.has_let_go:
            return True
        deadline = time.monotonic() + _LOOK_TIMEOUT
        try:
            found = call.wait(
                self._init, functools.partial(self._listed_in_child, deadline), deadline
            )
        except Failure as failure:
            log.warning("could not look at GitHub's list", why=failure.message)
            return True
        return found is not False

    def _listed_in_child(self, deadline: float) -> bool:
        from entrypoint.registration import remove_child  # as above

        return remove_child.listed(self._settings, self._vault, self.registration, deadline)

    def ensure(self) -> None:
        """Remove, and ask again for as long as GitHub says that the runner is busy."""
        give_up = time.monotonic() + self._settings.github_timeout
        while not self._remove_in_storm():
            again = time.monotonic() + _ASK_AGAIN
            if again > min(give_up, self.deadline):
                raise self._left("GitHub says that it is running a job")
            self._init.wait_for(lambda: False, again)

    def _remove_in_storm(self) -> bool:
        """Remove; where not even a process can be started for that, end all others first."""
        try:
            return self.remove()
        except OSError as error:
            log.warning("all other processes are ended first", why=error.strerror)
            self._init.sweep(_STORM_GRACE)
            return self.remove()

    def _left(self, why: str) -> Failure:
        name, number = self.registration.name, self.registration.id
        path = f"{self._settings.target.path}/actions/runners/{number}"
        return Failure(
            ExitCode.LEFT,
            f"the runner {name} (id {number or 'unknown'}) may still be registered: {why}",
            f"gh api --method DELETE {path}" if number else f"gh-runner sweep --prefix {name}",
        )
