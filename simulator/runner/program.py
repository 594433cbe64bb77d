"""What the listener and the worker share: settings, console, log, sleeping."""

import os
import time

from . import codec

TYPE_CHECKING = False  # importing `typing` costs 8 ms
if TYPE_CHECKING:
    import signal as _signal
    from typing import NoReturn
else:
    # Importing `signal` itself costs 4 ms, because it makes enums.
    import _signal

INPUT_PREFIX = "ACTIONS_RUNNER_INPUT_"


class Settings:
    """The content of `bin/simulator.json`; every time is in seconds."""

    url: str
    version: str
    dotnet: int
    configure_start: float
    configure_record: float
    configure_end: float
    listen_start: float
    remove: float
    stop: float
    message: float
    acquire: float
    worker_start: float
    worker_log: float
    worker_read: float
    renew: float
    token_renewal: float
    upload: float
    interrupt_grace: float
    terminate_grace: float
    output_grace: float
    retry_min: float
    retry_max: float
    session_retry: float
    session_conflict: float
    session_delete: float

    def __init__(self, path: str) -> None:
        with open(path, encoding="utf-8") as file:
            self.__dict__.update(codec.loads(file.read()))


class Terminal:
    """The console, and the log in `_diag`, which repeats what the console shows."""

    def __init__(self, root: str, kind: str) -> None:
        """Open the log `_diag/KIND_….log`; OSError if the root cannot be written."""
        self._part = "Worker" if kind == "Worker" else "Listener"
        self._echo = os.environ.get("ACTIONS_RUNNER_PRINT_LOG_TO_STDOUT", "") in ("1", "true")
        os.makedirs(root + "/_diag", exist_ok=True)
        name = time.strftime(f"{kind}_%Y%m%d-%H%M%S-utc.log", time.gmtime())
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        self.trace_fd = os.open(f"{root}/_diag/{name}", flags, 0o644)

    def line(self, text: str = "") -> None:
        """Write one line to standard output."""
        self.trace("WRITE LINE: " + text, component="Terminal")
        write(1, text)

    def success(self, text: str) -> None:
        """Write one line with a tick."""
        self.line("√ " + text)

    def section(self, text: str) -> None:
        """Write a heading."""
        self.line(f"\n# {text}\n")

    def error(self, text: str) -> None:
        """Write one line to standard error."""
        self.trace("WRITE ERROR: " + text, "ERR ", "Terminal")
        write(2, text)

    def trace(self, text: str, level: str = "INFO", component: str = "") -> None:
        """Write an entry into the log at once; only its first line has a head."""
        line = f"[{utc()} {level} {component or self._part}] {text}"
        write(self.trace_fd, line)
        if self._echo:
            write(1, line)


def write(fd: int, text: str) -> None:
    """Write a line; an error is ignored, since the reader may be gone."""
    try:
        os.write(fd, f"{text}\n".encode())
    except OSError:
        return


def utc() -> str:
    """Return the time as the runner prints it."""
    return time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime())


def load_env(root: str) -> None:
    """Put the variables of `.env` over the environment, as the runner does at each start."""
    try:
        with open(root + "/.env", encoding="utf-8") as file:
            lines = file.read().splitlines()
    except FileNotFoundError:
        return
    for line in lines:
        name, separator, value = line.partition("=")
        if separator and name and value:
            os.environ[name] = value
        elif separator and name:
            os.environ.pop(name, None)


def pause(seconds: float) -> None:
    """Sleep; no time at all makes no system call."""
    if seconds > 0:
        time.sleep(seconds)


def on_signal(signum: int, handler: "_signal._HANDLER") -> None:
    """Handle a signal, unless the parent has it ignored: .NET leaves it ignored."""
    if _signal.getsignal(signum) != _signal.SIG_IGN:
        _signal.signal(signum, handler)


def abort(message: str) -> "NoReturn":
    """Die as .NET does of an unhandled exception: with a stack trace, and by SIGABRT."""
    write(2, f"Unhandled exception. {message}\n   at GitHub.Runner.Listener.Program.Main()")
    _signal.signal(_signal.SIGABRT, _signal.SIG_DFL)
    os.kill(os.getpid(), _signal.SIGABRT)
    os._exit(134)
