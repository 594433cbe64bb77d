"""The start of the program: it blocks all signals, reads the command line, and runs a subcommand.

The image starts it by `env --block-signal gh-runner` (image/gh-runner), so that a signal that comes
while Python starts is not lost. The signals are blocked here as well, for all other ways to start.
"""

from __future__ import annotations

import gc
import os
import sys

from entrypoint.init import child, pid1, signals

signals.block_signals()

SUBCOMMANDS = ("run", "check", "settings", "status", "sweep", "jit", "exec")


def main() -> int:
    """Run the subcommand of the command line; without one, `run`."""
    _leave_locale_alone()
    match sys.argv[1:]:
        case [] | ["run"]:
            return run()
        case ["check" | "settings" | "status" | "sweep" | "jit" as tool, *arguments]:
            signals.restore_signals()  # an ordinary program: Ctrl-C ends it
            pid1.forbid_dumps()  # its environment may hold the credential, which jobs must not read
            import importlib

            code: int = importlib.import_module(f"entrypoint.commands.{tool}").main(arguments)
            return code
        case ["--help" | "-h" | "help"] | ["run", "--help" | "-h"]:
            from entrypoint import usage

            sys.stdout.write(usage.TEXT)
            return 0
        case ["--version" | "version"]:
            from entrypoint import usage

            sys.stdout.write(usage.version())
            return 0
        case arguments:
            from entrypoint.init import command  # only here, so that other starts do not load it

            return command.main(arguments, SUBCOMMANDS, _redacted)


def _redacted(text: str) -> str:
    from entrypoint import redaction  # only here: most starts print no message

    return redaction.redact(text)


def _leave_locale_alone() -> None:
    """Give children the LC_CTYPE that this process was given: Python changes it (PEP 538)."""
    try:
        with open("/proc/self/environ", "rb") as file:
            given = file.read().split(b"\0")
    except OSError:
        return
    value = next((one[9:] for one in given if one.startswith(b"LC_CTYPE=")), None)
    if value is not None:
        os.environb[b"LC_CTYPE"] = value
    elif "LC_CTYPE" in os.environ:
        del os.environ["LC_CTYPE"]


def run() -> int:
    """Be PID 1 of a runner's container."""
    try:
        return _run()
    except OSError as error:  # raised before life.run, which logs all later failures
        from entrypoint import log
        from entrypoint.errors import refused_by_kernel

        if (failure := refused_by_kernel(error)) is None:
            raise
        log.error("life.failed", failure.message, hint=failure.hint, code=int(failure.code))
        return failure.code


def _configure_log() -> None:
    """Set up the log by the environment alone; the settings of an env file come later."""
    from entrypoint import log

    log.configure(os.environ.get("RUNNER_LOG_LEVEL", ""), os.environ.get("RUNNER_LOG_FORMAT", ""))
    log.colour(wanted=log.wants_colour(os.environ))


def _run() -> int:
    from entrypoint import api_usage
    from entrypoint.vault import Vault, leave_environment

    _configure_log()
    child.open_standard_streams()
    gc.disable()  # until all modules are loaded, which make no garbage
    pid1.forbid_dumps()
    given = leave_environment()
    pid_1 = pid1.Init()
    from entrypoint.lifecycle.prepare import Preparing
    from entrypoint.registration.register import RegisteringChild

    api_usage.share()
    vault = Vault()
    preparing = Preparing(pid_1, os.environ, given, vault)
    registering = RegisteringChild(pid_1, os.environ, vault)
    from entrypoint.lifecycle import life  # after the forks, while both children load their modules

    gc.enable()
    return life.run(pid_1, os.environ, preparing, registering)


def exit_code() -> int:
    """Return what `main` returns; an exception that reaches this function is a defect (70).

    Python's own exit code would be 1, which no supervisor finds in the table of exit codes.
    """
    try:
        return main()
    except Exception:  # noqa: BLE001 - whatever it is
        sys.excepthook(*sys.exc_info())
        return 70  # ExitCode.DEFECT, but perhaps its module is what could not be imported


if __name__ == "__main__":
    sys.exit(exit_code())
