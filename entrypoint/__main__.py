"""Where PID 1 begins: block the signals, read the command line, hand over.

The image starts it as `env --block-signal … python -I -m entrypoint`, so that not even a signal
that comes while Python starts is lost; blocking here is for those who start it otherwise.
"""

from __future__ import annotations

import gc
import importlib
import os
import sys

from entrypoint import init

init.block_signals()


def main() -> int:
    """Run the subcommand that the command line names; bare, it is `run`."""
    match sys.argv[1:]:
        case [] | ["run"]:
            return run()
        case ["status" | "check" | "sweep" as tool, *arguments]:
            init.restore_signals()  # an ordinary program: Ctrl-C ends it
            init.forbid_dumps()  # its environment may hold what a job is after
            package = "entrypoint.doctor" if tool == "check" else "entrypoint"
            code: int = importlib.import_module(f"{package}.{tool}").main(arguments)
            return code
        case ["--help" | "-h"] | ["run", "--help" | "-h"]:
            from entrypoint import usage  # noqa: PLC0415

            sys.stdout.write(usage.TEXT)
            return 0
        case arguments:
            from entrypoint import command  # noqa: PLC0415 - each start loads what it needs

            return command.main(arguments)


def run() -> int:
    """Be PID 1 of a runner's container."""
    from entrypoint.secrets import leave_environment  # noqa: PLC0415

    init.open_standard_streams()
    gc.disable()  # until all is loaded: what is looked at then is no garbage
    init.forbid_dumps()
    given = leave_environment()
    pid_1 = init.Init()
    from entrypoint import settings  # noqa: F401, PLC0415 - before the fork: both need them
    from entrypoint.registrar import Registrar  # noqa: PLC0415

    registrar = Registrar(pid_1, os.environ)
    from entrypoint import lifecycle  # noqa: PLC0415 - after the fork: both import at once

    gc.enable()
    return lifecycle.run(pid_1, os.environ, given, registrar)


if __name__ == "__main__":
    sys.exit(main())
