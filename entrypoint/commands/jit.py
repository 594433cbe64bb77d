"""`gh-runner jit`: asks GitHub for a JIT configuration, for a launcher that starts containers.

The launcher keeps the credential. A container gets only the configuration (RUNNER_JITCONFIG), by
which it can be one runner, once. A program that has the configuration can act as that runner, so
it is printed to a pipe or written to a file that only its owner can read.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Mapping, Sequence

from entrypoint import log
from entrypoint.commands import with_settings
from entrypoint.commands.arguments import Parser
from entrypoint.errors import ExitCode, Failure
from entrypoint.github import jit, runners
from entrypoint.settings import runner_names
from entrypoint.settings.credential import Kind, identify
from entrypoint.settings.schema import Settings


def main(argv: Sequence[str]) -> int:
    """Make a JIT configuration, or remove its runner again; return the exit code."""
    options = _options(argv)
    log.write_to(2)  # stdout is for the configuration only

    def work(settings: Settings, secrets: Mapping[str, str]) -> None:
        if identify(secrets)[1] in (Kind.JIT, Kind.REGISTRATION):
            raise Failure(
                ExitCode.CONFIG,
                "gh-runner jit: a JIT configuration is made with a personal access token or an App",
                "set GITHUB_PERSONAL_TOKEN, or GITHUB_APP_ID and GITHUB_APP_PRIVATE_KEY",
            )
        if options.remove is not None:
            _remove(settings, secrets, options.remove)
        else:
            _make(settings, secrets, options)

    return with_settings.run(work, event_name="jit.failed")


def _options(argv: Sequence[str]) -> argparse.Namespace:
    parser = Parser(
        prog="gh-runner jit",
        description="Register a runner, and print its JIT configuration for RUNNER_JITCONFIG.",
        epilog="The list of runners, name, labels, group and credential come from the settings, as"
        " for `run`.",
    )
    parser.add_argument("--output", metavar="FILE", help="write it to a new file (mode 0600)")
    parser.add_argument("--json", action="store_true", help="print id and name of the runner, too")
    parser.add_argument("--remove", type=int, metavar="ID", help="take a runner off the list again")
    return parser.parse_args(argv)


def _make(settings: Settings, secrets: Mapping[str, str], options: argparse.Namespace) -> None:
    """Register a runner and write its configuration; if that fails, remove the runner again."""
    descriptor = _new_file(options.output) if options.output else 1
    if options.output is None and sys.stdout.isatty():
        log.warning("jit.shown", "the configuration is a secret; --output writes it to a file")
    deadline = time.monotonic() + settings.github_timeout
    api = runners.connect(settings, secrets, deadline)
    try:
        made = jit.jit_config(api, settings, runner_names.unique(settings.name))
    except Failure:
        if options.output:
            os.unlink(options.output)
        raise
    words = made.configuration
    if options.json:
        about = {"id": made.runner.id, "name": made.runner.name}
        words = json.dumps({**about, "encoded_jit_config": made.configuration})
    try:
        with os.fdopen(descriptor, "w", encoding="ascii", closefd=bool(options.output)) as file:
            file.write(words + "\n")
    except OSError as error:
        runners.delete(api, made.runner.id)
        where = options.output or "stdout"
        raise Failure(
            ExitCode.CONFIG,
            f"the configuration cannot be written to {where}: {error.strerror}",
            "the runner was taken off the list again",
        ) from None
    log.info("jit.made", "registered", name=made.runner.name, id=made.runner.id)


def _new_file(path: str) -> int:
    """Make the file before the runner is registered: if it cannot be made, no runner is left."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        return os.open(path, flags, 0o600)
    except OSError as error:
        raise Failure(
            ExitCode.CONFIG,
            f"--output: {path} cannot be made: {error.strerror}",
            "name a file that does not exist, in a directory that you may write to",
        ) from None


def _remove(settings: Settings, secrets: Mapping[str, str], number: int) -> None:
    """Remove a runner from the list. Raises a Failure (74) if it is running a job."""
    api = runners.connect(settings, secrets, time.monotonic() + settings.github_timeout)
    if runners.delete(api, number) is runners.Removal.BUSY:
        raise Failure(
            ExitCode.LEFT,
            f"the runner with the id {number} is running a job, and stays on the list",
            "GitHub drops it after its job",
        )
    log.info("jit.removed", "off GitHub's list", id=number)
