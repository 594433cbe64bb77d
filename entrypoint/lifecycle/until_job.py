"""RUNNER_CREDENTIAL=until-job: the credential is gone before the first step of a job runs.

A job asks through a hook (runner/hook.py). PID 1 exchanges the credential for a remove-token,
forgets the credential, and lets the job go on.
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
    """Answers the job's question, while that is wanted."""

    def __init__(
        self, pid_1: Init, hook: StartedHook | None, remover: Remover, child: RegisteringChild
    ) -> None:
        """Take what holds the credential; without a hook no job asks."""
        self.hook = hook
        self._init, self._remover, self._child = pid_1, remover, child
        self._at_work = False

    @contextmanager
    def answering(self) -> Iterator[None]:
        """Let a job begin that asks meanwhile.

        In the rest of a stop no job may begin: it is about to be cancelled, and the exchange of
        the credential would take the time of the stop.
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
        """Forget the credential, wherever it is, then answer.

        A stop raises Stopped from here. The job goes on waiting then, and may be answered later.
        """
        if self._at_work or self.hook is None or not self.hook.asks():
            return
        self._at_work = True  # the exchange itself waits, and so comes here again
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
    """Make the hook where a job shall ask, and remove it in the end.

    With a JIT configuration that was given there is no credential that a job could wait for.

    Raises a Failure (78) if the state directory cannot hold it.
    """
    if settings.credential != "until-job" or settings.registration == "given":
        yield UntilJob(pid_1, None, remover, child)
        return
    hook = StartedHook(settings)
    try:
        yield UntilJob(pid_1, hook, remover, child)
    finally:
        hook.remove()
