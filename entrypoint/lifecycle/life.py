"""The life of a runner: register, listen, deregister. PID 1 in one page."""

from __future__ import annotations

import time
from collections.abc import MutableMapping
from contextlib import ExitStack
from typing import Any

from entrypoint import call, log, redaction
from entrypoint.container import state, termination_message
from entrypoint.errors import ExitCode, Failure, refused_by_kernel
from entrypoint.init.pid1 import Init, Stopped
from entrypoint.lifecycle import outcome, stop_file, stopping, watching
from entrypoint.lifecycle.engine import running
from entrypoint.lifecycle.hangs import Abandoned, Scene
from entrypoint.lifecycle.life_figures import Figures
from entrypoint.lifecycle.log_lines import converted
from entrypoint.lifecycle.until_job import UntilJob, until_job
from entrypoint.registration.record import Progress
from entrypoint.registration.register import RegisteringChild, registered
from entrypoint.registration.remove import Remover
from entrypoint.runner.home import claim
from entrypoint.runner.listener import Listener
from entrypoint.settings.given import Given
from entrypoint.settings.schema import Settings
from entrypoint.vault import Vault

SETTINGS_TIMEOUT = 20.0  # seconds; a file on a volume that hangs must not hang us
SWEEP_GRACE = 0.5  # seconds between TERM and KILL for what is left; 9 s of a stop may be over


def run(
    pid_1: Init,
    environ: MutableMapping[str, str],
    given: Vault,
    vault: Vault,
    child: RegisteringChild,
) -> ExitCode:
    """Live, end everything that is left, and return the exit code; see `live` for the rest."""
    log.configure(environ.get("RUNNER_LOG_LEVEL", ""), environ.get("RUNNER_LOG_FORMAT", ""))
    log.colour(wanted=not environ.get("NO_COLOR"))
    life, failure = Figures(), None
    try:
        code = live(pid_1, environ, given, vault, child, life)
    except Stopped as stop:
        code = ExitCode(128 + stop.signum)
    except Exception as error:  # noqa: BLE001 - after a defect, too, the container is cleaned up
        failure = as_failure(error)
        code = failure.code
        tell(failure)
    pid_1.begin_cleanup()
    pid_1.sweep(SWEEP_GRACE)
    found = life.summary()
    life.write(pid_1, code, found)
    log.info("life.ended", f"exit code {int(code)}: {code.meaning}", code=int(code), figures=found)
    last_words = (failure.message, failure.hint) if failure else (code.meaning,)
    termination_message.leave(*last_words)
    return code


def live(
    pid_1: Init,
    environ: MutableMapping[str, str],
    given: Vault,
    vault: Vault,
    child: RegisteringChild,
    life: Figures,
) -> ExitCode:
    """Take one runner through its whole life.

    `given` holds the secrets of the environment, and `vault` will hold the credential; `child`
    waits for its order; `life` takes in what it costs. Raises Stopped or a Failure; either way
    nothing stays registered.
    """
    prepared = prepare(pid_1, environ, given, vault)
    settings = Settings.restore(prepared["settings"])
    claim(settings.home)  # the child that has prepared did so, too, and has ended
    remover = Remover(pid_1, settings, vault, environ, prepared["name"])
    with stop_file.watched(pid_1, settings, prepared["stop_digest"]), ExitStack() as exits:
        seen = exits.enter_context(state.State(settings.state_dir))
        life.name, life.file = remover.registration.name, settings.metrics_file
        seen.enter(state.REGISTERING, name=remover.registration.name)
        credential = exits.enter_context(until_job(pid_1, settings, remover, child))
        engine = exits.enter_context(running(pid_1, settings, environ))
        exits.enter_context(
            registered(pid_1, child, settings, remover, prepared, engine.await_ready)
        )
        engine.take_label()
        life.mark("registered")
        seen.enter(state.LISTENING, id=remover.registration.id)
        output = exits.enter_context(converted(pid_1))
        listener = Listener(pid_1, settings, environ, credential.hook, output)
        life.run_sh = listener.child
        scene = Scene(pid_1, settings, listener, remover, seen, life, engine)
        try:
            return listen(scene, credential, child.progress)
        finally:
            if not remover.has_credential:
                # `config.sh remove` gets the token in its environment: kill the job's processes
                # first, so that none of them can read it.
                listener.kill_job()


def listen(scene: Scene, credential: UntilJob, progress: Progress) -> ExitCode:
    """Let the runner take its job. A stop ends it, and so does a runner that hangs."""
    try:
        with credential.answering():
            if not watching.until_end(scene):
                return ExitCode.DONE
    except Stopped as stop:
        scene.figures.mark("stop_requested")
        log.info("stop.requested", "stopping", signal=str(stop))
        scene.seen.enter(state.STOPPING)
        if not stopping.stop(scene, credential, drain=scene.settings.drain_timeout):
            raise
    except Abandoned as end:
        scene.pid_1.begin_cleanup()
        log.warning("life.abandoned", "stopping", why=end.failure.message)
        scene.seen.enter(state.STOPPING)
        stopping.stop(scene, credential, drain=0)
        raise end.failure from None
    if scene.listener.had_job:
        scene.figures.mark("job_ended")
    return outcome.judge(
        scene.settings,
        scene.listener,
        scene.remover.registration,
        progress,
        can_ask=scene.remover.can_ask,
    )


def prepare(
    pid_1: Init, environ: MutableMapping[str, str], given: Vault, vault: Vault
) -> dict[str, Any]:
    """Have the settings read by a child, which knows the secrets; see prepare_child.load."""

    def load() -> dict[str, Any]:
        from entrypoint.lifecycle import prepare_child

        return prepare_child.load(Given(environ, given.read()), vault)

    prepared: dict[str, Any] | None = call.wait(pid_1, load, time.monotonic() + SETTINGS_TIMEOUT)
    if prepared is None:
        raise Failure(ExitCode.CONFIG, f"reading the settings took over {SETTINGS_TIMEOUT} s")
    given.forget()
    environ.update(prepared["environment"])
    redaction.hide_user_info(environ)  # a proxy's password, which config.sh may repeat
    log.configure(prepared["settings"]["log_level"], prepared["settings"]["log_format"])
    if version := prepared["settings"]["version"]:
        log.info(
            "life.started", "starting", runner=version, released=prepared["settings"]["released"]
        )
    if prepared["recognised"]:
        log.info("settings.recognised", prepared["recognised"])
    for note in prepared["notes"]:
        log.warning("settings.note", note)
    return prepared


def as_failure(error: Exception) -> Failure:
    """Return what has ended the life as a Failure; what nobody has foreseen is a defect."""
    if isinstance(error, Failure):
        return error
    if isinstance(error, OSError) and (refused := refused_by_kernel(error)):
        return refused
    import traceback  # 4 ms of each start

    log.error(
        "life.defect", "a defect in gh-runner", traceback="".join(traceback.format_exception(error))
    )
    return Failure(
        ExitCode.DEFECT,
        "a defect in gh-runner, please report it",
        "the traceback is in the line before",
    )


def tell(failure: BaseException | None) -> None:
    """Log a failure, and before it the one that it came upon."""
    if isinstance(failure, Failure):
        tell(failure.__context__)
        log.error(
            "life.failed",
            failure.message,
            problems=list(failure.problems),
            hint=failure.hint,
            code=int(failure.code),
            **failure.fields,
        )
