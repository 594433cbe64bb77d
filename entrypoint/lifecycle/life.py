"""The life of a runner on one page: PID 1 registers, listens for a job, and deregisters."""

from __future__ import annotations

import time
from collections.abc import MutableMapping
from contextlib import ExitStack
from typing import Any

from entrypoint import call, log, redaction
from entrypoint.container import state, termination_message
from entrypoint.errors import ExitCode, Failure, refused_by_kernel
from entrypoint.init.pid1 import Init, Stopped
from entrypoint.init.signals import signal_name
from entrypoint.lifecycle import outcome, stop_file, stopping, watching
from entrypoint.lifecycle.engine import running
from entrypoint.lifecycle.hangs import Abandoned, Scene
from entrypoint.lifecycle.life_figures import Figures
from entrypoint.lifecycle.log_lines import converted
from entrypoint.lifecycle.pause import Pause
from entrypoint.lifecycle.until_job import UntilJob, until_job
from entrypoint.registration.record import Progress
from entrypoint.registration.register import RegisteringChild, registered
from entrypoint.registration.remove import Remover
from entrypoint.runner.home import claim
from entrypoint.runner.listener import Listener
from entrypoint.settings.given import Given
from entrypoint.settings.schema import Settings
from entrypoint.vault import Vault

SETTINGS_TIMEOUT = 20.0  # seconds; reading a file on a volume that hangs would never end
# Seconds between TERM and KILL for processes that are left. A stop may have used 9 s by then, and
# `docker stop` kills after 10.
SWEEP_GRACE = 0.5


def run(
    pid_1: Init,
    environ: MutableMapping[str, str],
    given: Vault,
    child: RegisteringChild,
) -> ExitCode:
    """Call `live`, end all processes that are left, and return the exit code."""
    life, failure, pause = Figures(), None, Pause(environ)
    pid_1.on_stop, pid_1.on_other = StopSignals(life), OtherSignals()
    try:
        code = live(pid_1, environ, given, child, life, pause)
    except Stopped as stop:
        code = ExitCode(128 + stop.signum)
    except Exception as error:  # noqa: BLE001 - clean the container up after a defect as well
        failure = as_failure(error)
        code = failure.code
        tell(failure)
    pid_1.begin_cleanup()
    pid_1.sweep(SWEEP_GRACE)
    found = life.summary()
    life.write(pid_1, code, found)
    log.info("life.ended", last_line(code, life), code=int(code), **life.job, figures=found)
    last_words = (failure.message, failure.hint) if failure else (code.meaning,)
    termination_message.leave(*last_words)
    pause.wait(pid_1, code)
    return code


def last_line(code: ExitCode, life: Figures) -> str:
    """Return the exit code with its meaning, and what became of the job or why there was none."""
    known = [code.meaning, life.ending] if code is not ExitCode.DONE else [life.ending]
    return f"exit code {int(code)}: {'; '.join(filter(None, known)) or code.meaning}"


class StopSignals:
    """Logs the first signal that stops the runner, and the second one."""

    def __init__(self, life: Figures) -> None:
        """Begin without a signal; the time of the first one is marked in `life`."""
        self._life, self._count = life, 0

    def __call__(self, signum: int) -> None:
        """Take in a signal."""
        self._count += 1
        name = signal_name(signum)
        if self._count == 1:
            self._life.mark("stop_requested")
            log.info("stop.requested", "stopping", signal=name)
        elif self._count == 2:
            log.info("stop.hurried", "another stop has come: gh-runner hurries", signal=name)


class OtherSignals:
    """Warns once of a signal that an engine may have sent as its stop signal; it stops nothing.

    Other signals cause no warning: PID 1 uses SIGIO itself, and a terminal sends SIGWINCH.
    """

    _NAMES = ("SIGHUP", "SIGQUIT", "SIGABRT", "SIGUSR1", "SIGUSR2", "SIGPWR")

    def __init__(self) -> None:
        """Begin without a warning."""
        self._is_told = False

    def __call__(self, signum: int) -> None:
        """Take in a signal."""
        name = signal_name(signum)
        if self._is_told or not (name in self._NAMES or name.startswith("signal ")):
            return
        self._is_told = True
        log.warning(
            "signal.ignored",
            f"{name} does not stop this container",
            hint="stop it by SIGTERM or SIGINT: no other --stop-signal (STOPSIGNAL, stop_signal)",
        )


def live(
    pid_1: Init,
    environ: MutableMapping[str, str],
    given: Vault,
    child: RegisteringChild,
    life: Figures,
    pause: Pause,
) -> ExitCode:
    """Take one runner through its whole life.

    `given` holds the secrets of the environment. `child` waits for its order to register, and its
    vault will hold the credential. `life` collects times and costs. `pause` gets the setting of
    that name. Raises Stopped or a Failure; the runner is removed from GitHub's list in both cases.
    """
    prepared = prepare(pid_1, environ, given, child.vault)
    settings = Settings.restore(prepared["settings"])
    pause.seconds = settings.failure_pause
    claim(settings.home)  # the lock of the child that prepared went with that child
    remover = Remover(pid_1, settings, child.vault, environ, prepared["name"])
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
    """Wait while the runner takes and runs its job; stop it at a signal, or if it hangs."""
    try:
        with credential.answering():
            if not watching.until_end(scene):
                scene.figures.ending = "no job came within RUNNER_IDLE_TIMEOUT"
                scene.figures.job = {"result": "none"}
                return ExitCode.DONE
    except Stopped:
        watching.note_session(scene)
        scene.seen.enter(state.STOPPING)
        if not stopping.stop(scene, credential, drain=scene.settings.drain_timeout):
            outcome.tell_result(scene.listener, scene.figures)
            raise
    except Abandoned as end:
        scene.pid_1.begin_cleanup()
        log.warning("life.abandoned", "stopping", why=end.failure.message)
        scene.seen.enter(state.STOPPING)
        stopping.stop(scene, credential, drain=0)
        outcome.tell_result(scene.listener, scene.figures)
        raise end.failure from None
    return outcome.judge(
        scene.settings,
        scene.listener,
        scene.remover.registration,
        progress,
        scene.figures,
        can_ask=scene.remover.can_ask,
    )


def prepare(
    pid_1: Init, environ: MutableMapping[str, str], given: Vault, vault: Vault
) -> dict[str, Any]:
    """Have a child read the settings and the secrets; return what prepare_child.load returns."""

    def load() -> dict[str, Any]:
        from entrypoint.lifecycle import prepare_child

        return prepare_child.load(Given(environ, given.read()), vault)

    deadline = time.monotonic() + SETTINGS_TIMEOUT
    prepared: dict[str, Any] | None = call.wait(pid_1, load, deadline, "the files of the settings")
    if prepared is None:
        raise Failure(ExitCode.CONFIG, f"reading the settings took over {SETTINGS_TIMEOUT} s")
    given.forget()
    environ.update(prepared["environment"])
    redaction.hide_user_info(environ)  # config.sh may print a proxy's address with its password
    log.configure(prepared["settings"]["log_level"], prepared["settings"]["log_format"])
    log.belongs_to(name=prepared["name"])
    if given.was_passed_on:
        log.debug(
            "life.decision", "PID 1 has executed itself again: its environment had a secret in it"
        )
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
    """Return an exception as a Failure; an exception that is not expected is a defect."""
    if isinstance(error, Failure):
        return error
    if isinstance(error, OSError) and (refused := refused_by_kernel(error)):
        return refused
    import traceback  # takes 4 ms, and is needed only for a defect

    log.error(
        "life.defect", "a defect in gh-runner", traceback="".join(traceback.format_exception(error))
    )
    return Failure(
        ExitCode.DEFECT,
        "a defect in gh-runner, please report it",
        "the traceback is in the line before",
    )


def tell(failure: BaseException | None) -> None:
    """Log a Failure, and before it the Failure during whose handling it was raised."""
    if isinstance(failure, Failure):
        before = failure.__context__
        if failure.__suppress_context__ and before is not None:  # its words are in the message
            before = before.__context__
        tell(before)
        log.error(
            "life.failed",
            failure.message,
            problems=list(failure.problems),
            hint=failure.hint,
            code=int(failure.code),
            **failure.fields,
        )
