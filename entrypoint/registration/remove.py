"""Removing the runner from GitHub's list: PID 1's side.

A child does the work (remove_child.py), so that PID 1 can kill it at a deadline, or replace it by
one that is faster if a further stop comes.
"""

from __future__ import annotations

import math
import time

from entrypoint import call, log
from entrypoint.errors import ExitCode, Failure
from entrypoint.registration.record import Registration
from entrypoint.vault import Vault

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Literal

    from entrypoint.init.pid1 import Init
    from entrypoint.settings.plan import Plan

    # What GitHub's list says about our runner. `busy` may be wrong there (actions/runner#4422).
    Listed = Literal["busy", "idle", "no", "unknown"]

_LOOK_TIMEOUT = 30.0  # seconds
_STORM_GRACE = 0.5  # seconds between TERM and KILL
_EXCHANGE_TIMEOUT = 20.0  # seconds; the job waits meanwhile
_ASK_AGAIN = 0.5  # seconds; GitHub calls a runner busy until it has noted the end of the job


class Remover:
    """Removes one runner from the list, and does so faster if a further stop comes meanwhile.

    At the end of a `with` block it removes a runner that GitHub may still list.
    """

    def __init__(self, pid_1: Init, plan: Plan, vault: Vault) -> None:
        """Keep what the removal needs; nothing happens until `remove`."""
        # A runner that is not ephemeral may have had jobs, and a job's processes could read the
        # token in the environment of config.sh. So only an ephemeral one is removed by config.sh.
        self.registration = Registration(plan.name, by_config_sh=plan.ephemeral)
        self.has_credential = True  # False once it has been exchanged for a remove-token
        self._init = pid_1
        self._plan = plan
        self._vault = vault

    def __enter__(self) -> Remover:
        """Begin the block in which the runner is registered and lives."""
        return self

    def __exit__(self, *_: object) -> None:
        """Let no stop interrupt the clean-up any more, and remove the runner."""
        self._init.begin_cleanup()
        if self.registration.maybe_listed:
            self._remove_at_exit()

    def remove(self, until: float = math.inf) -> bool:
        """Remove the runner; return False if GitHub says that it is busy, and True otherwise.

        Does nothing and returns True for a registration that was given: the program that made it
        removes it. Raises a Failure (74) if GitHub has not answered by `until` (time.monotonic()),
        or by the deadline of a stop.
        """
        if not self.registration.ours:
            log.info(
                "runner.left", "the registration is left to its maker", name=self.registration.name
            )
            return True
        started = time.monotonic()
        try:
            removed = self._remove(min(until, started + self._plan.github_timeout))
        except Failure as failure:
            raise self._left("; ".join(filter(None, (failure.message, failure.hint)))) from None
        if removed is None:
            raise self._left("GitHub did not answer in time")
        if removed:
            self.registration.gone()
            took = round(time.monotonic() - started, 3)
            log.info(
                "runner.removed",
                "the runner is off GitHub's list",
                name=self.registration.name,
                seconds=took,
            )
        return removed

    def _remove(self, until: float) -> bool | None:
        """Have a child remove the runner; None when time is up.

        If one more stop comes meanwhile, another child does it the fast way, without config.sh.
        """
        stop = self._init.stop
        before = len(stop.signals)
        # A stop may have come between two tries of the clean-up, which raises no Stopped.
        if before:
            stop.begin(self._plan.stop_timeout)
        deadline = min(until, stop.deadline)
        child = call.start(self._init, lambda: self._in_child(deadline))
        try:
            call.wait_for(
                self._init,
                lambda: child.outcome is not None or self._is_hurried(before),
                deadline,
                "GitHub to take the runner off its list",
            )
            if child.outcome is not None:
                removed: bool = call.result(child)
                return removed
        finally:
            call.end(self._init, child)
        if not self._is_hurried(before):
            return None
        self.registration.hurried()
        stop.begin(self._plan.stop_timeout)
        return self._remove(until)

    def _is_hurried(self, before: int) -> bool:
        """Whether one more stop has come, and the removal can be made faster."""
        stop = self._init.stop
        can_be_shortened = self.registration.by_config_sh or not stop.begun
        return can_be_shortened and len(stop.signals) > before

    def _in_child(self, deadline: float) -> bool:
        from entrypoint.registration import remove_child  # PID 1 must not load its imports

        return remove_child.remove(self._plan, self._vault, self.registration, deadline)

    def exchange_credential(self) -> None:
        """Exchange the credential for a remove-token; forget the credential even if that fails.

        A stop raises Stopped. The credential is kept in that case.
        """
        if not self.has_credential:
            return
        token, deadline = Vault(), time.monotonic() + _EXCHANGE_TIMEOUT
        try:
            exchanged = call.wait(
                self._init,
                lambda: self._exchange_in_child(token, deadline),
                deadline,
                "GitHub's remove-token",
            )
            if exchanged is None:
                log.warning(
                    "credential.not_exchanged",
                    "GitHub gave no remove-token in time",
                    seconds=_EXCHANGE_TIMEOUT,
                )
        except Failure as failure:
            log.warning(
                "credential.not_exchanged",
                "GitHub gave no remove-token",
                why=failure.message,
                hint=failure.hint,
            )
        self._vault.forget()
        self._vault, self.has_credential = token, False

    def _exchange_in_child(self, token: Vault, deadline: float) -> bool:
        from entrypoint.registration import remove_child  # as above

        return remove_child.exchange(self._plan, self._vault, token, deadline)

    @property
    def can_ask(self) -> bool:
        """Whether there is a credential with which GitHub can be asked about our runner."""
        return self.has_credential and self.registration.ours

    def look(self) -> Listed:
        """Return what GitHub's list says about the runner; "unknown" if GitHub cannot be asked."""
        if not self.can_ask:
            return "unknown"
        deadline = time.monotonic() + _LOOK_TIMEOUT
        try:
            found: Listed | None = call.wait(
                self._init, lambda: self._look_in_child(deadline), deadline
            )
        except Failure as failure:
            log.warning("github.unasked", "GitHub does not show its list", why=failure.message)
            return "unknown"
        except OSError as error:  # fork failed, at the pids limit for example
            log.warning("github.unasked", "no process can ask GitHub", why=error.strerror)
            return "unknown"
        return "unknown" if found is None else found

    def _look_in_child(self, deadline: float) -> Listed:
        from entrypoint.registration import remove_child  # as above

        found = remove_child.look(self._plan, self._vault, self.registration, deadline)
        if found is None:
            return "no"
        return "busy" if found.busy else "idle"

    def _remove_at_exit(self) -> None:
        """Remove the runner; while GitHub says that it is busy, try again until a deadline."""
        give_up = time.monotonic() + self._plan.github_timeout
        told = False
        while not self._remove_despite_pid_limit():
            if not told:
                told = True
                limit = round(min(give_up, self._init.stop.deadline) - time.monotonic())
                log.warning(
                    "runner.busy",
                    f"GitHub says that the runner is busy, and is asked again for {limit} s",
                    name=self.registration.name,
                    limit=limit,
                )
            again = time.monotonic() + _ASK_AGAIN
            if again > min(give_up, self._init.stop.deadline):
                raise self._left("GitHub says that it is running a job")
            self._init.wait_for(lambda: False, again)

    def _remove_despite_pid_limit(self) -> bool:
        """Remove the runner; if no child can be started, kill all other processes first."""
        try:
            return self.remove()
        except OSError as error:
            log.warning(
                "processes.ended_first",
                "no process can be started, so PID 1 ends all others first",
                why=error.strerror,
            )
            self._init.sweep(_STORM_GRACE)
            return self.remove()

    def _left(self, why: str) -> Failure:
        name, number = self.registration.name, self.registration.id
        path = f"{self._plan.target_path}/actions/runners/{number}"
        if job := self.registration.job:
            why += f"; its job {job!r} may be stuck: cancel its run at GitHub, which frees both"
        return Failure(
            ExitCode.LEFT,
            f"the runner {name} (id {number or 'unknown'}) may still be registered: {why}",
            "take it off the list: "
            + (f"gh api --method DELETE {path}" if number else f"gh-runner sweep --prefix {name}"),
        )
