"""The program: reads the options, runs the pool, returns the exit code."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Sequence

from krunpool.commands import Commands, Stop
from krunpool.config import Config, configure
from krunpool.errors import CONFIG, DONE, ENGINE, Problem
from krunpool.log import Log
from krunpool.pool import Pool
from krunpool.runtimes import choose


async def orchestrate(config: Config, log: Log) -> int:
    """Check the host, then run the pool; return the exit code."""
    stop = Stop(log)
    runtime = choose(config, Commands(log))
    if runtime is None:
        log.error("there is neither krun (for podman) nor krunvm on PATH; -R names another runtime")
        return ENGINE
    for problem in (problems := await runtime.problems()):
        log.error(problem)
    if problems:
        return ENGINE
    if not config.waits:
        log.warning(
            "-I: the settings go through the shared folder all the same, since a command line"
            " shows them to everybody; it is only not waited for the runners"
        )
    try:
        pool = Pool(config, runtime, log, stop)
    except OSError as error:
        refuse(log, "-d", error)
        return CONFIG
    return await pool.run()


def refuse(log: Log, option: str, error: OSError) -> None:
    """Log that what an option names cannot be used."""
    log.error(f"{option}: {error.filename}: {error.strerror}")  # noqa: G004 - no logger of logging


def main(words: Sequence[str]) -> int:
    """Run the program; return its exit code."""
    try:
        config = configure(words, os.environ)
        log = Log(config.log, config.verbose)
    except Problem as problem:
        for line in str(problem).splitlines():
            sys.stderr.write(f"orchestrator: {line}\n")
        return CONFIG
    except SystemExit as asked:
        sys.stdout.write(str(asked))
        return DONE
    return asyncio.run(orchestrate(config, log))
