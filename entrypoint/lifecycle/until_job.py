"""RUNNER_CREDENTIAL=until-job: the credential is gone before the first step of a job runs.

A job asks PID 1 by a hook (runner/hook.py). PID 1 exchanges the credential for a remove-token,
forgets the credential, and lets the job begin.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from entrypoint import log
from entrypoint.init.pid1 import Init
from entrypoint.registration.register import RegisteringChild
from entrypoint.registration.remove import Remover
from entrypoint.runner.hook import StartedHook
from entrypoint.settings.schema import Settings


class UntilJob:
    """Answers a job that asks by the hook, within `answering`."""

    def __init__(
        self, pid_1: Init, hook: StartedHook | None, remover: Remover, child: RegisteringChild
    ) -> None:
        """Take the objects that hold the credential; without a hook no job asks."""
        self.hook = hook
        self._init, self._remover, self._child = pid_1, remover, child
        self._at_work = False

    @contextmanager
    def answering(self) -> Iterator[None]:
        """During a `with` block, let a job begin that asks.

        The rest of a stop is outside of such a block. A job that asks then does not begin, because
        it is about to be cancelled, and the exchange of the credential would take too long.
        """
        if self.hook is None:
            yield
            return
        self._init.on_wake.append(self._look)
        try:
            yield
        finally:
            self._init.on_wake.remove(self._look)

    def _look(self) -> None:
        """If a job asks, forget the credential in all processes, and then answer.

        A stop raises Stopped here. The job then goes on waiting, and may be answered later.
        """
        if self._at_work or self.hook is None or not self.hook.asks():
            return
        self._at_work = True  # the exchange waits for a child, and each wait calls this function
        try:
            self._remover.exchange_credential()
            self._child.dismiss()
        finally:
            self._at_work = False
        log.info("credential.dropped", "the credential is gone, and a job begins")
        self.hook.answer()


@contextmanager
def until_job(
    pid_1: Init, settings: Settings, remover: Remover, child: RegisteringChild
) -> Iterator[UntilJob]:
    """Make the hook if RUNNER_CREDENTIAL=until-job is set, and remove it after the `with` block.

    There is no hook if a JIT configuration was given, because there is no credential to forget
    then. Raises a Failure (78) if the hook cannot be written into the state directory.
    """
    if settings.credential != "until-job" or settings.registration == "given":
        yield UntilJob(pid_1, None, remover, child)
        return
    hook = StartedHook(settings)
    try:
        yield UntilJob(pid_1, hook, remover, child)
    finally:
        hook.remove()
