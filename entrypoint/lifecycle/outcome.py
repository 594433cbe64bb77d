"""How the runner has ended: run.sh turns most exit codes of the listener into 0.

PID 1 loads this module only when the runner has ended.
"""

from __future__ import annotations

import re

from entrypoint import log
from entrypoint.container import kernel
from entrypoint.errors import ExitCode, Failure
from entrypoint.lifecycle.figures import Figures
from entrypoint.lifecycle.scene import Scene
from entrypoint.registration.record import Progress
from entrypoint.runner import home
from entrypoint.runner.listener import WORKER_RESULTS, Listener
from entrypoint.settings.plan import Plan

_RETURN_CODE = re.compile(r"Runner execution has finished with return code (\d+)")
# With ACTIONS_RUNNER_RETURN_VERSION_DEPRECATED_EXIT_CODE=1 the listener ends with it, and so does
# run.sh.
_DEPRECATED = 7
_CONFLICT = 5


def judge(scene: Scene, progress: Progress) -> ExitCode:
    """Return DONE if a job ran to its end; otherwise raise the Failure that says what happened.

    Only a worker proves that there was a job. Files prove nothing, because a job may have written
    or deleted them. The runner deletes its record after an ephemeral job, but also when GitHub no
    longer knows the registration.
    """
    plan, listener, registration = scene.plan, scene.listener, scene.remover.registration
    if listener.had_job:
        registration.job_taken(listener.job_name())
        # Without these signs GitHub is asked, because a job can delete the record and the log.
        if (
            listener.left_by_itself
            and (listener.reported_result() or not scene.remover.can_ask)
            and home.record(plan.home) is None
        ):
            registration.gone()
            log.debug("life.decision", "GitHub is not asked: it removes a runner that had its job")
        elif registration.ours:
            log.debug("life.decision", "GitHub is asked: the runner has not removed itself")
        tell_result(listener, scene.figures)
        return ExitCode.DONE
    log.warning(
        "job.none",
        "no job has run",
        diag=listener.last_words(),
        free_disk=kernel.free_disk(plan.workdir_path),
    )
    # GitHub's word on the version may have arrived by now; it explains a listener that ended
    # with 1.
    progress.require_version()
    if not registration.ours and _is_gone(plan, listener):
        # A controller made this registration. After exit code 0 it frees the runner's place at
        # once. After any other code it would try the same dead configuration again (docs/adr/0005).
        log.warning(
            "runner.used_up",
            "the given registration is used up or gone at GitHub; there is nothing to do",
        )
        scene.figures.ending = "the given registration is used up or gone at GitHub"
        return ExitCode.DONE
    raise _without_job(plan, listener)


def tell_result(listener: Listener, figures: Figures) -> None:
    """Log what became of a job that is over, once for each job, and keep it for the last line.

    It may come from the listener's log, which a job can forge.
    """
    if not listener.had_job or figures.told_worker == (listener.worker,):
        return
    figures.told_worker = (listener.worker,)
    figures.mark("job_ended")
    code = None if listener.worker is None else listener.worker.outcome
    job = {"job": listener.job_name()}
    if not figures.has("job_started"):  # it was over before PID 1 has seen its worker
        log.info("job.started", "a job has begun", **job)
    if code is None:
        result = listener.reported_result() or "unknown"
        job |= {"result": result, "reported_by": "the listener's log"}
        figures.ending = f"{_words(result)}, as the runner reports"
        log.info("job.completed", figures.ending, **job)
    else:
        result = WORKER_RESULTS.get(code, f"unknown, the worker ended with {code}")
        job |= {"result": result, "reported_by": "the worker's exit code"}
        figures.ending = f"{_words(result)}, by its worker's exit code"
        log.warning(
            "job.completed",
            f"{figures.ending}; the listener was killed, and the job went on without it",
            **job,
        )
    figures.job = job
    if kills := kernel.oom_kills() - listener.oom_kills_before:
        log.warning(
            "container.oom_kill",
            "the kernel has killed processes for want of memory",
            oom_kill=kills,
        )


def _words(result: str) -> str:
    if result.startswith("unknown"):
        return "it is unknown what became of the job"
    return f"the job {'was ' if result == 'cancelled' else ''}{result}"


def _is_gone(plan: Plan, listener: Listener) -> bool:
    """Whether GitHub has told the listener that the registration is gone, at any time."""
    return (
        home.record(plan.home) is None
        or "registration has been deleted from the server" in listener.last_words()
    )


def _without_job(plan: Plan, listener: Listener) -> Failure:
    code = listener.child.outcome
    told = _RETURN_CODE.findall(listener.last_words())
    if code == _DEPRECATED:
        return Failure(
            ExitCode.VERSION,
            "GitHub no longer accepts this version of the runner",
            "pull or rebuild the image: a build takes the newest runner",
        )
    if told and int(told[-1]) == _CONFLICT:
        return Failure(
            ExitCode.RUNNER,
            "another listener uses the same registration (session conflict)",
            "do not share the runner's directory between containers",
        )
    if home.record(plan.home) is None:
        return Failure(
            ExitCode.RUNNER,
            "GitHub no longer knows the registration, and no job has run",
            "a new container registers anew; look for who or what removes your runners",
        )
    return Failure(
        ExitCode.RUNNER,
        f"the listener ended without a job (listener: {told[-1] if told else 'unknown'},"
        f" run.sh: {code})",
        "the end of its own log, printed above, says why",
    )
