"""`gh-runner sweep`: removes runners from GitHub's list that killed containers have left there.

GitHub's list does not say since when a runner is offline, and a new runner is offline until its
first session. So sweep looks twice, some time apart, and removes only runners that were offline
both times, each after a third look. It may run from cron, and several times at once.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Mapping, Sequence

from entrypoint import log
from entrypoint.commands import with_settings
from entrypoint.commands.arguments import Parser
from entrypoint.errors import ExitCode, Failure
from entrypoint.github import client, runners
from entrypoint.github.client import Client
from entrypoint.github.runners import Removal, Runner
from entrypoint.settings import runner_names
from entrypoint.settings.schema import Settings

Chosen = Callable[[Runner], bool]
_AGAIN = 10.0  # seconds between two rounds; GitHub notes after about a minute that a runner died


def main(argv: Sequence[str]) -> int:
    """Sweep the list of runners that the environment's settings name; return the exit code."""
    options = _options(argv)

    def work(settings: Settings, secrets: Mapping[str, str]) -> None:
        meant = _meant(options, settings)
        sweep(settings, secrets, meant, options)
        if options.wait:
            _until_gone(settings, secrets, meant, options)

    return with_settings.run(work, event_name="sweep.failed")


def _options(argv: Sequence[str]) -> argparse.Namespace:
    parser = Parser(
        prog="gh-runner sweep",
        description="Remove runners that are offline and stay so, and never one that is busy.",
        epilog="The list of runners and the credential come from the settings, as for `run`.",
    )
    parser.add_argument("--prefix", help="how names begin (default: runners made by RUNNER_NAME)")
    parser.add_argument(
        "--label", action="append", default=[], help="a label they must have; may be repeated"
    )
    parser.add_argument(
        "--older-than",
        type=_seconds,
        default=60.0,
        metavar="SECONDS",
        help="time between the two looks (default: %(default)g)",
    )
    parser.add_argument(
        "--wait",
        type=_seconds,
        default=0.0,
        metavar="SECONDS",
        help="go on for so long while one of them is listed, online or busy: GitHub needs some"
        " time to see that a runner was killed. Exit code 74 if it stays (default: %(default)g)",
    )
    parser.add_argument(
        "--all", action="store_true", help="all runners of the list, whatever their names"
    )
    parser.add_argument("--dry-run", action="store_true", help="only say what would be removed")
    return parser.parse_args(argv)


def _seconds(value: str) -> float:
    number = float(value)
    if not 0 <= number < 10**6:
        raise ValueError(value)
    return number


def _meant(options: argparse.Namespace, settings: Settings) -> Chosen:
    """Return a test whether a runner is meant, by its name and its labels."""
    if options.prefix is None and not options.all and not settings.name:
        raise Failure(
            ExitCode.CONFIG,
            "gh-runner sweep: neither --prefix nor RUNNER_NAME says whose runners are meant",
            "give --prefix, or --all for all runners of the list",
        )
    if not (options.prefix or options.prefix is None or options.all):
        raise Failure(
            ExitCode.CONFIG,
            "gh-runner sweep: an empty --prefix means the offline runners of everybody",
            "give a prefix, or --all where that is meant",
        )
    ours = runner_names.made_from(settings.name)
    labels = {label.lower() for label in options.label}

    def meant(runner: Runner) -> bool:
        if options.all:
            named = True
        elif options.prefix is None:
            named = bool(ours.fullmatch(runner.name))
        else:
            named = runner.name.startswith(options.prefix)
        return named and labels <= {label.lower() for label in runner.labels}

    return meant


def _stale(meant: Chosen) -> Chosen:
    """Return a test whether a runner may be removed: it is meant, offline and not busy."""
    return lambda runner: meant(runner) and runner.status == "offline" and not runner.busy


def _until_gone(
    settings: Settings, secrets: Mapping[str, str], meant: Chosen, options: argparse.Namespace
) -> None:
    """Sweep again until no runner is left that is meant. Failure (74) if one is left at the end."""
    deadline = time.monotonic() + options.wait
    while left := _look(_api(settings, secrets), meant):
        if time.monotonic() >= deadline:
            names = ", ".join(runner.name for runner in left)
            raise Failure(
                ExitCode.LEFT,
                f"GitHub still lists {names}, online or busy",
                "it drops a lost job after some ten minutes; sweep again then",
            )
        time.sleep(min(_AGAIN, options.wait / 10))
        sweep(settings, secrets, meant, options)


def sweep(
    settings: Settings,
    secrets: Mapping[str, str],
    meant: Chosen,
    options: argparse.Namespace,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Look twice, and remove runners that were offline both times. Failure if GitHub refuses."""
    chosen = _stale(meant)
    listed = _look(_api(settings, secrets), meant)
    _tell_lost(listed)
    first = {runner for runner in listed if chosen(runner)}
    if not first:
        log.info("sweep.nothing", "nothing to sweep", target=str(settings.target))
        return
    log.info("sweep.looking", "looking again", offline=len(first), seconds=options.older_than)
    sleep(options.older_than)
    api = _api(settings, secrets)  # a token of an App may have expired during the pause
    stale = [runner for runner in _look(api, chosen) if runner in first]
    if options.dry_run:
        for runner in stale:
            log.info("sweep.would_remove", "would be removed", name=runner.name, id=runner.id)
        return
    ends = [_remove(client.until(api, _deadline(settings)), runner, chosen) for runner in stale]
    log.info("sweep.done", "swept", removed=ends.count(Removal.DELETED), stale=len(stale))


def _tell_lost(listed: list[Runner]) -> None:
    """Log the names of runners that are offline and busy: their node was lost during a job.

    GitHub refuses to delete a busy runner, and its API does not say which job a runner has.
    """
    if names := [r.name for r in listed if r.status == "offline" and r.busy]:
        log.warning(
            "sweep.busy",
            "offline and busy, so that GitHub does not let them go",
            names=names,
            hint="it gives their jobs up after some ten minutes; to be faster, cancel their runs",
        )


def _look(api: Client, chosen: Chosen) -> list[Runner]:
    return [runner for runner in runners.runners(api) if chosen(runner)]


def _remove(api: Client, runner: Runner, chosen: Chosen) -> Removal:
    """Remove a runner, unless it is online again."""
    # GitHub itself refuses only to remove a runner that is busy, so look once more.
    now = runners.get(api, runner.id)
    if now is None:
        return Removal.GONE
    removal = runners.delete(api, runner.id) if chosen(now) else Removal.BUSY
    log.info("sweep.removed", removal.value, name=runner.name, id=runner.id)
    return removal


def _api(settings: Settings, secrets: Mapping[str, str]) -> Client:
    return runners.connect(settings, secrets, _deadline(settings))


def _deadline(settings: Settings) -> float:
    return time.monotonic() + settings.github_timeout
