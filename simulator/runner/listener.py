"""`Runner.Listener`: its commands configure, remove and run."""

import os

from . import diagnostics
from .identity import Identity, is_true
from .options import Options
from .program import Settings, Terminal, abort, load_env, on_signal, pause, utc, write
from .session import Ended, Gone, Session
from .stop import SIGINT, SIGTERM, Signals, Stopped
from .watch import Watch, Worker, ignored_by_parent

TYPE_CHECKING = False  # importing `typing` costs 8 ms
if TYPE_CHECKING:
    from types import FrameType
    from typing import Any, NoReturn

RESULTS = {100: "Succeeded", 102: "Failed", 103: "Canceled"}
STAYS = "listener-stays"  # a hang: the listener goes on when its worker has ended
USAGE = """
Commands:
 ./config.sh         Configures the runner
 ./config.sh remove  Unconfigures the runner
 ./run.sh            Runs the runner interactively. Does not require any options.
"""
GONE = "The runner no longer exists on the server. Cleaning up local configuration."


def main(path: str, words: list[str]) -> "NoReturn":
    """Run the program whose file is `path`, and leave with its exit code."""
    on_signal(SIGINT, _leave_at_once)
    root = path.rpartition("/bin/")[0]
    settings = Settings(root + "/bin/simulator.json")
    if settings.dotnet < 10:
        on_signal(SIGTERM, _leave_at_once)
    load_env(root)
    try:
        terminal = Terminal(root, "Runner")
    except OSError as error:
        abort(f"System.UnauthorizedAccessException: Access to the path is denied. {error}")
    terminal.trace(f"Version: {settings.version}")
    options = Options(words)
    _finish(terminal, _execute(root, settings, terminal, options))


def _finish(terminal: Terminal, code: int, stopped_by: int = 0) -> "NoReturn":
    """Leave; after SIGTERM the log tells the code, and the exit status tells the signal."""
    terminal.trace(f"Runner execution has finished with return code {code}")
    os._exit(128 + SIGTERM if stopped_by == SIGTERM else code)


def _leave_at_once(signum: int, _frame: "FrameType | None") -> None:
    if signum == SIGINT:
        write(1, "Exiting...")
    os._exit(1 if signum == SIGINT else 128 + signum)


def _execute(root: str, settings: Settings, terminal: Terminal, options: Options) -> int:
    unknown = options.unknown()
    if unknown:
        terminal.error(
            f"Unrecognized command-line input arguments for command {options.command}:"
            f" '{', '.join(unknown)}'. For usage refer to: .\\config.cmd --help or"
            " ./config.sh --help"
        )
    if options.flag("version") or options.flag("help"):
        terminal.line(USAGE if options.flag("help") else settings.version)
        return 0
    if options.command in ("configure", "remove"):
        return _configure(root, settings, terminal, options)
    if options.command != "run":
        return 0
    return _run(root, settings, terminal, options)


def _configure(root: str, settings: Settings, terminal: Terminal, options: Options) -> int:
    from .configure import Configuration  # noqa: PLC0415  # `run` starts without it

    configuration = Configuration(root, settings, terminal, options)
    try:
        if options.command == "remove":
            configuration.remove()
        else:
            configuration.configure()
    except (OSError, ValueError, KeyError) as error:
        terminal.error(str(error))
        return 1
    return 0


def _run(root: str, settings: Settings, terminal: Terminal, options: Options) -> "NoReturn":
    catch = (SIGINT, SIGTERM) if settings.dotnet < 10 else (SIGINT,)
    signals = Signals(catch, raising=True)
    code = 0
    try:
        code = Listener(root, settings, terminal, signals).run(options)
    except Stopped:
        pass
    except Ended as end:
        code = end.code
        if code:
            terminal.error(str(end))
    except (OSError, ValueError, KeyError) as error:
        code = 2
        terminal.error(f"An error occurred: {error}")
    signals.raising = False
    _finish(terminal, code, signals.stopped_by)


class Listener:
    """The command run."""

    def __init__(self, root: str, settings: Settings, terminal: Terminal, signals: Signals) -> None:
        self._root = root
        self._settings = settings
        self._terminal = terminal
        self._signals = signals
        self._identity = Identity(root)
        self._ignored = ignored_by_parent()
        self._had_job = False
        self._work = ""

    def run(self, options: Options) -> int:
        """Listen until there is nothing more to do, and return the exit code."""
        jit = options.value("jitconfig")
        if jit:
            try:
                self._identity.save_jit(jit)
            except ValueError as error:
                raise Ended(1, str(error)) from None
        if not self._identity.is_configured():
            raise Ended(1, "Runner is not configured.")
        saved = self._identity.settings()
        work = str(saved.get("workfolder", "_work"))
        self._work = work if work.startswith("/") else f"{self._root}/{work}"
        self._make_work_folder()
        once = is_true(saved.get("ephemeral")) or options.flag("once")
        pause(self._settings.listen_start)
        session = Session(self._settings, self._terminal, self._identity)
        session.open()
        self._terminal.line(f"Current runner version: '{self._settings.version}'")
        self._terminal.line(f"{utc()}: Listening for Jobs")
        diagnostics.write(self._terminal, diagnostics.LISTENING)
        return self._listen(session, once, is_true(saved.get("ephemeral")))

    def _make_work_folder(self) -> None:
        try:
            os.makedirs(self._work + "/_temp", exist_ok=True)
        except OSError:
            message = f"Fail to create and validate runner's work directory '{self._work}'."
            raise Ended(1, message) from None

    def _listen(self, session: Session, once: bool, ephemeral: bool) -> int:
        completed = False
        try:
            while not completed:
                job = self._next_job(session)
                if job is not None:
                    completed = self._do(session, job) and once
        except Stopped:
            self._terminal.trace("Runner execution been cancelled.")
            pause(self._settings.stop)
        except Ended:
            session.close()
            raise
        except Gone:
            self._terminal.error(GONE)
            self._identity.delete(self._terminal)
            return 0
        self._signals.raising = False
        known = session.close()
        if (completed and ephemeral) or not (known or self._had_job):
            self._identity.delete(self._terminal)
        return 0

    def _next_job(self, session: Session) -> "dict[str, Any] | None":
        """Wait for a job and acquire it; None if there is no job."""
        try:
            session.ask("Online")
            message = session.wait_for_message()
        except OSError as error:
            self._terminal.trace(f"Catch exception during get next message. {error}", "ERR ")
            pause(max(self._settings.retry_min, 0.05))
            return None
        if message is None or message["message_type"] != "RunnerJobRequest":
            return None
        pause(self._settings.message)
        return session.acquire(message)

    def _do(self, session: Session, job: "dict[str, Any]") -> bool:
        """Have a worker do the job; Stopped if a signal has cancelled it.

        A stop during the pause before the worker's start raises Stopped there, and the job is lost.
        """
        self._had_job = True
        diagnostics.write(self._terminal, diagnostics.acquired(job["id"]))
        self._terminal.line(f"{utc()}: Running job: {job['name']}")
        slow = job["worker_start"]
        pause(self._settings.worker_start if slow is None else slow)
        self._signals.hold()
        message = {"type": "job", "ignored": self._ignored, "work": self._work, "job": job}
        worker = Worker(self._root, message, self._terminal)
        watch = Watch(self._settings, self._signals, session, worker, job)
        exit_code = watch.wait()
        session.connection.close()
        worker.tell_end(exit_code, self._terminal)
        if not watch.never_read:  # the real one reports no result of a job that never began
            self._finish_job(session, job, exit_code)
        self._signals.release()
        self._tell_leaving()
        return True

    def _finish_job(self, session: Session, job: "dict[str, Any]", exit_code: int) -> None:
        result = RESULTS.get(exit_code, "")
        if not result:
            session.fail(job)
            result = "Failed"
        text = f"finish job request for job {job['id']} with result: {result}"
        self._terminal.trace(text, component="JobDispatcher")
        self._terminal.line(f"{utc()}: Job {job['name']} completed with result: {result}")
        if job["hang"] == STAYS:
            _hang()

    def _tell_leaving(self) -> None:
        self._terminal.trace(diagnostics.LEAVING, component="Runner")
        self._terminal.trace(diagnostics.BROKEN_POLL, "WARN", "GitHubActionsService")
        self._terminal.trace("Deleting Runner Session...", component="BrokerMessageListener")


def _hang() -> None:
    """Do nothing more; a signal is noted and changes nothing."""
    while True:
        pause(3600)
