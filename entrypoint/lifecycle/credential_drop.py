"""RUNNER_CREDENTIAL=until-job: the credential is gone before the first step of a job runs.

A job asks PID 1 by a hook (runner/hook.py). PID 1 exchanges the credential for a remove-token,
forgets the credential, and lets the job begin.
"""

from __future__ import annotations

from entrypoint import log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from entrypoint.init.pid1 import Init
    from entrypoint.registration.register import RegisteringChild
    from entrypoint.registration.remove import Remover
    from entrypoint.runner.hook import StartedHook
    from entrypoint.settings.plan import Plan


class CredentialDrop:
    """Makes the hook for a `with` block; drops the credential for a job within `when_asked`.

    Without RUNNER_CREDENTIAL=until-job there is no hook, and no job asks.
    """

    def __init__(
        self, pid_1: Init, plan: Plan, remover: Remover, registering: RegisteringChild
    ) -> None:
        """Make the hook if the plan has one; `remover` and `registering` hold the credential.

        Raises a Failure (78) if the hook cannot be written into the state directory.
        """
        self.hook: StartedHook | None = None
        if plan.hook:
            from entrypoint.runner.hook import StartedHook  # most lives have none

            self.hook = StartedHook(plan)
        self._init, self._remover, self._registering = pid_1, remover, registering
        self._at_work = False

    def __enter__(self) -> CredentialDrop:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Delete the hook."""
        if self.hook is not None:
            self.hook.remove()

    def when_asked(self) -> Looking:
        """Return a `with` block in which a job that asks may begin.

        The rest of a stop is outside of such a block. A job that asks then does not begin, because
        it is about to be cancelled, and the exchange of the credential would take too long.
        """
        return Looking(self._init, self._look)

    def _look(self) -> None:
        """If a job asks, forget the credential in all processes, and then answer.

        A stop raises Stopped here. The job then goes on waiting, and may be answered later.
        """
        if self._at_work or self.hook is None or not self.hook.asks():
            return
        self._at_work = True  # the exchange waits for a child, and each wait calls this function
        try:
            self._remover.exchange_credential()
            self._registering.end_meanwhile()
        finally:
            self._at_work = False
        log.info("credential.dropped", "the credential is gone, and a job begins")
        self.hook.answer()


class Looking:
    """A `with` block in which PID 1 calls a function whenever it wakes."""

    def __init__(self, pid_1: Init, look: Callable[[], None]) -> None:
        """Take the function that looks."""
        self._init, self._look = pid_1, look

    def __enter__(self) -> None:
        """Begin to look."""
        self._init.on_wake.append(self._look)

    def __exit__(self, *_: object) -> None:
        """End it."""
        self._init.on_wake.remove(self._look)
