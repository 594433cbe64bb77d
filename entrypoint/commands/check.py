"""`gh-runner check`: find out whether `run` would work here, without registering a runner."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict

from entrypoint import log, redaction
from entrypoint.commands import check_container, check_github, finding
from entrypoint.commands.arguments import Parser
from entrypoint.commands.finding import Finding, Verdict
from entrypoint.errors import ExitCode, Failure
from entrypoint.lifecycle import prepare_child
from entrypoint.settings import sources
from entrypoint.settings.given import Given
from entrypoint.settings.schema import environment
from entrypoint.settings.secret_files import SecretFile

_MARKS = {Verdict.FINE: "✓", Verdict.WARNING: "!", Verdict.WRONG: "✗"}
_COLOURS = {Verdict.FINE: "32", Verdict.WARNING: "33", Verdict.WRONG: "31"}


def main(argv: Sequence[str]) -> int:
    """Print what was found, and return the exit code that `run` would end with."""
    parser = Parser(
        prog="gh-runner check",
        description="Try everything that `run` needs, without registering a runner.",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args(argv)
    log.configure("error")
    found = []
    try:
        for one in examine(environment()):
            found.append(one)
            if not options.json:
                _print(_lines(one))
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    code = next((one.code for one in found if one.verdict is Verdict.WRONG), ExitCode.DONE)
    if options.json:
        _print(json.dumps({"exit_code": code, "findings": [asdict(one) for one in found]}))
    return code


def examine(environ: Mapping[str, str]) -> Iterator[Finding]:
    """Yield the findings of all checks, in the order in which `run` would get to them."""
    files: dict[str, SecretFile] = {}
    try:
        given = Given.divide(environ)
        values = sources.read(given, files)
        environment().update(values.others)  # a proxy, for example
    except Failure as failure:
        yield finding.wrong("settings", failure)
        return
    settings, secrets = values.settings, values.secrets
    yield finding.fine("settings", str(settings.target))
    if values.recognised:
        yield finding.fine("settings", values.recognised)
    notes = [
        *values.notes,
        *prepare_child.exposed(settings, given.secrets, values.origins.values()),
    ]
    yield from (finding.warning("settings", note) for note in notes)
    yield from check_container.look(settings, files)
    if settings.registration == "given":
        said = f"JIT configuration of the runner {settings.name}; GitHub is not asked"
        yield finding.fine("credential", said)
    else:
        yield from check_github.ask(settings, secrets)


def _lines(found: Finding) -> str:
    mark = _MARKS[found.verdict]
    if sys.stdout.isatty() and log.wants_colour(environment()):
        mark = f"\x1b[{_COLOURS[found.verdict]}m{mark}\x1b[0m"
    remedy = f"\n{'':14}→ {found.remedy}" if found.remedy else ""
    return f"{mark} {found.check:12}{found.said}{remedy}"


def _print(text: str) -> None:
    """Write to stdout, in UTF-8 whatever the locale is, with all secrets redacted."""
    os.write(1, f"{redaction.redact(text)}\n".encode(errors="backslashreplace"))
