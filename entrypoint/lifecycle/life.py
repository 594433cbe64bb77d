"""The life of a runner: register, listen, deregister. PID 1 in one page."""

from __future__ import annotations

import time
from collections.abc import MutableMapping
from contextlib import ExitStack
from typing import Any

from entrypoint import call, log
from entrypoint.container import state
from entrypoint.errors import ExitCode, Failure
from entrypoint.init.pid1 import Init, Stopped
from entrypoint.lifecycle import engine, outcome, stopping, watching
from entrypoint.registration.register import Registrar
from entrypoint.registration.registered import registered
from entrypoint.registration.remove import Remover
from entrypoint.runner.home import claim
from entrypoint.runner.hook import offered
from entrypoint.runner.listener import Listener
from entrypoint.settings.given import Given
from entrypoint.settings.runner_names import unique
from entrypoint.settings.schema import Settings
from entrypoint.vault import Vault

SETTINGS_TIMEOUT = 20.0  # seconds; a file on a volume that hangs must not hang us
SWEEP_GRACE = 0.5  # seconds between TERM and KILL for what is left; 9 s of a stop may be over


def run(
    pid_1: Init, environ: MutableMapping[str, str], given: Vault, registrar: Registrar
) -> ExitCode:
    """Live, end everything that is left, and return the exit code; see `live` for the rest."""
    log.configure(environ.get("RUNNER_LOG_LEVEL", ""), environ.get("RUNNER_LOG_FORMAT", ""))
    try:
        code = live(pid_1, environ, given, registrar)
    except Stopped as stop:
        code = ExitCode(128 + stop.signum)
    except Failure as failure:
        code = failure.code
        tell(failure)
    except Exception:  # noqa: BLE001 - the container must be cleaned up after a defect, too
        import traceback  # 4 ms of each start

        code = ExitCode.DEFECT
        log.error("a defect in gh-runner, please report it", traceback=traceback.format_exc())
    pid_1.begin_cleanup()
    pid_1.sweep(SWEEP_GRACE)
    log.info("leaving", code=int(code), meaning=code.meaning)
    return code


def live(
    pid_1: Init, environ: MutableMapping[str, str], given: Vault, registrar: Registrar
) -> ExitCode:
    """Take one runner through its whole life.

    `given` holds the secrets of the environment; `registrar` waits for its order. Raises Stopped
    or a Failure; either way nothing stays registered.
    """
    settings = load(pid_1, environ, given, registrar)
    remover = Remover(pid_1, settings, registrar.vault, environ, unique(settings.name))
    with ExitStack() as exits:
        seen = exits.enter_context(state.State(settings.state_dir))
        seen.enter(state.REGISTERING, name=remover.registration.name)
        handover = exits.enter_context(offered(pid_1, settings, registrar, remover))
        exits.enter_context(engine.running(pid_1, settings, environ))
        exits.enter_context(registered(pid_1, registrar, settings, remover))
        seen.enter(state.LISTENING, id=remover.registration.id)
        listener = Listener(pid_1, settings, environ, handover)
        remover.beside = listener.look  # a job may arrive while GitHub is asked
        try:
            if not watching.until_end(pid_1, settings, listener, remover):
                return ExitCode.DONE
        except Stopped as stop:
            log.info("stopping", signal=str(stop))
            seen.enter(state.STOPPING)
            if not stopping.stop(pid_1, settings, listener, remover):
                raise
        finally:
            if remover.has_let_go:  # config.sh will be shown a token, and nobody of the job's
                listener.kill_job()
        return outcome.judge(settings, listener, remover.registration, registrar.marks)


def load(
    pid_1: Init, environ: MutableMapping[str, str], given: Vault, registrar: Registrar
) -> Settings:
    """Read the settings in a child, which knows the secrets."""

    def prepare() -> dict[str, Any]:
        from entrypoint.lifecycle import prepare_child

        return prepare_child.load(Given(environ, given.read()), registrar.vault)

    loaded = call.wait(pid_1, prepare, time.monotonic() + SETTINGS_TIMEOUT)
    if loaded is None:
        raise Failure(ExitCode.CONFIG, f"reading the settings took over {SETTINGS_TIMEOUT} s")
    given.forget()
    registrar.loaded = loaded
    environ.update(loaded["environment"])
    settings = Settings.restore(loaded["settings"])
    claim(settings.home)  # as that child did, which has ended
    log.configure(settings.log_level, settings.log_format)
    if settings.version:
        log.info("starting", runner=settings.version, released=settings.released)
    for note in loaded["notes"]:
        log.warning(note)
    return settings


def tell(failure: BaseException | None) -> None:
    """Log a failure, and before it the one that it came upon."""
    if isinstance(failure, Failure):
        tell(failure.__context__)
        log.error(failure.message, hint=failure.hint, code=int(failure.code))
