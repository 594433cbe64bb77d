"""The life of a runner on one page: PID 1 registers, listens for a job, and deregisters."""

from __future__ import annotations

from entrypoint import log
from entrypoint.container import state, termination_message
from entrypoint.errors import ExitCode, Failure, refused_by_kernel
from entrypoint.init.pid1 import Stopped
from entrypoint.lifecycle import stopping, watching
from entrypoint.lifecycle.credential_drop import CredentialDrop
from entrypoint.lifecycle.engine import Engine
from entrypoint.lifecycle.figures import Figures
from entrypoint.lifecycle.hangs import Abandoned
from entrypoint.lifecycle.log_lines import LinesAsJson
from entrypoint.lifecycle.pause import Pause
from entrypoint.lifecycle.scene import Scene
from entrypoint.lifecycle.signal_lines import OtherSignals, StopSignals
from entrypoint.lifecycle.stop_file import StopFileWatcher
from entrypoint.registration.register import register
from entrypoint.registration.remove import Remover
from entrypoint.runner.home import claim
from entrypoint.runner.listener import Listener

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from entrypoint.init.pid1 import Init
    from entrypoint.lifecycle.prepare import Preparing
    from entrypoint.registration.record import Progress
    from entrypoint.registration.register import RegisteringChild

# Seconds between TERM and KILL for processes that are left. A stop may have used 9 s by then, and
# `docker stop` kills after 10.
SWEEP_GRACE = 0.5


def run(
    pid_1: Init,
    environ: Mapping[str, str],
    preparing: Preparing,
    registering: RegisteringChild,
) -> ExitCode:
    """Call `live`, end all processes that are left, and return the exit code."""
    figures, failure, pause = Figures(), None, Pause(environ)
    pid_1.on_stop, pid_1.on_other = StopSignals(figures), OtherSignals()
    try:
        code = live(pid_1, preparing, registering, figures, pause)
    except Stopped as stop:
        code = ExitCode(128 + stop.signum)
    except Exception as error:  # noqa: BLE001 - clean the container up after a defect as well
        failure = as_failure(error)
        code = failure.code
        tell(failure)
    pid_1.begin_cleanup()
    pid_1.sweep(SWEEP_GRACE)
    found = figures.summary()
    figures.write(pid_1, code, found)
    log.info("life.ended", last_line(code, figures), code=int(code), **figures.job, figures=found)
    last_words = (failure.message, failure.hint) if failure else (code.meaning,)
    termination_message.leave(*last_words)
    pause.wait(pid_1, code)
    return code


def live(
    pid_1: Init,
    preparing: Preparing,
    registering: RegisteringChild,
    figures: Figures,
    pause: Pause,
) -> ExitCode:
    """Take one runner through its whole life.

    `preparing` reads the settings, and puts the credential into the vault of `registering`, which
    waits for its order. `figures` collects times and costs. `pause` gets the setting of that
    name. Raises Stopped or a Failure; the runner is removed from GitHub's list in both cases.
    """
    plan, order = preparing.result()
    pause.seconds = plan.failure_pause
    claim(plan.home)  # the lock of the child that prepared went with that child
    remover = Remover(pid_1, plan, registering.vault)
    figures.name, figures.file = plan.name, plan.metrics_file
    with (
        StopFileWatcher(pid_1, plan.stop_file, plan.stop_digest),
        state.StateFile(plan.state_dir) as state_file,
    ):
        state_file.enter(state.REGISTERING, name=plan.name)
        with (
            CredentialDrop(pid_1, plan, remover, registering) as drop,
            Engine(pid_1, plan) as engine,
            remover,
        ):
            register(pid_1, registering, plan, order, remover.registration, engine.await_ready)
            engine.take_label()
            figures.mark("registered")
            state_file.enter(state.LISTENING, id=remover.registration.id)
            with LinesAsJson(pid_1) as output:
                listener = Listener(pid_1, plan, drop.hook, output)
                figures.run_sh = listener.child
                scene = Scene(
                    pid_1=pid_1,
                    plan=plan,
                    listener=listener,
                    remover=remover,
                    state_file=state_file,
                    figures=figures,
                    engine=engine,
                    drop=drop,
                )
                try:
                    return listen(scene, registering.progress)
                finally:
                    if not remover.has_credential:
                        # `config.sh remove` gets the token in its environment: kill the job's
                        # processes first, so that none of them can read it.
                        listener.kill_job()


def listen(scene: Scene, progress: Progress) -> ExitCode:
    """Wait while the runner takes and runs its job; stop it at a signal, or if it hangs."""
    try:
        with scene.drop.when_asked():
            if not watching.until_end(scene):
                scene.figures.ending = "no job came within RUNNER_IDLE_TIMEOUT"
                scene.figures.job = {"result": "none"}
                return ExitCode.DONE
    except Stopped:
        watching.note_session(scene)
        scene.state_file.enter(state.STOPPING)
        if not stopping.stop(scene, drain=scene.plan.drain_timeout):
            tell_result(scene)
            raise
    except Abandoned as end:
        scene.pid_1.begin_cleanup()
        log.warning("life.abandoned", "stopping", why=end.failure.message)
        scene.state_file.enter(state.STOPPING)
        stopping.stop(scene, drain=0)
        tell_result(scene)
        raise end.failure from None
    from entrypoint.lifecycle import outcome  # PID 1 loads it only now, at the end

    return outcome.judge(scene, progress)


def last_line(code: ExitCode, figures: Figures) -> str:
    """Return the exit code with its meaning, and what became of the job or why there was none."""
    known = [code.meaning, figures.ending] if code is not ExitCode.DONE else [figures.ending]
    return f"exit code {int(code)}: {'; '.join(filter(None, known)) or code.meaning}"


def tell_result(scene: Scene) -> None:
    """Log what became of the job, if there was one."""
    if scene.listener.had_job:
        from entrypoint.lifecycle import outcome  # as above

        outcome.tell_result(scene.listener, scene.figures)


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
