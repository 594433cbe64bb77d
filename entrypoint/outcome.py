"""What has really happened: run.sh turns most of the listener's exit codes into 0."""

from __future__ import annotations

from entrypoint import log, runner
from entrypoint.deregistration import Registration
from entrypoint.errors import ExitCode, Failure
from entrypoint.listener import Listener
from entrypoint.settings import Settings

_DEPRECATED = 7  # the listener's own code, with ACTIONS_RUNNER_RETURN_VERSION_DEPRECATED_EXIT_CODE


def judge(settings: Settings, listener: Listener, registration: Registration) -> ExitCode:
    """Return DONE if a job ran to its end; otherwise raise the Failure that says what happened.

    After an ephemeral job the runner deletes its own record. It also does when GitHub no longer
    knows the registration, so only the log of a worker proves that there was a job.
    """
    if listener.had_job():
        registration.tidy = False
        registration.possible = runner.registration(settings.home) is not None
        return ExitCode.DONE
    if listener.child.outcome == _DEPRECATED:
        raise Failure(
            ExitCode.VERSION,
            "GitHub no longer accepts this version of the runner",
            "rebuild the image with a newer RUNNER_VERSION",
        )
    log.info("the last lines of the listener's log", diag=listener.last_words())
    if runner.registration(settings.home) is None:
        raise Failure(
            ExitCode.RUNNER,
            "GitHub no longer knows the registration, and no job has run",
            "look for who removed the runner; a new container registers anew",
        )
    raise Failure(
        ExitCode.RUNNER,
        f"the listener ended without a job (run.sh: {listener.child.outcome})",
        "its own log above says why",
    )
