"""`gh-runner settings`: shows every setting with its value and its source, or prints an env file.

It sends no request, changes and deletes nothing, and shows no secret.
"""

from __future__ import annotations

import json
import os
import textwrap
from collections.abc import Sequence
from typing import Any

from entrypoint import log, redaction
from entrypoint.commands.arguments import Parser
from entrypoint.errors import ExitCode, Failure
from entrypoint.settings import sources
from entrypoint.settings.given import Given
from entrypoint.settings.rules import PLACEHOLDERS
from entrypoint.settings.schema import environment, variables
from entrypoint.settings.sources import Values
from entrypoint.vault import SECRETS

_WIDTH = 99  # columns of a comment in the template
# The settings that most operators need, with comments; all other settings follow, one by one.
_TEMPLATE = """\
# The settings of gh-runner; `gh-runner settings --template` prints this file.
#
# Copy it to .env, put your values in, and start a runner with
#
#     docker run --rm --env-file .env gh-runner
#
# One NAME=value a line, without quotes and without spaces around the "=". Lines that begin with
# "#" show what else there is, with the default or an example.

# Whose runner it is. Without a repository it serves the whole organization.
{GITHUB_OWNER}
{GITHUB_REPOSITORY}

# What lets it register: a personal access token, classic (scope `repo`, for an organization
# `admin:org`) or fine-grained (`Administration`, for an organization `Self-hosted runners`: read
# and write). Jobs never see it. It can also stand in a file, as a Docker or Kubernetes secret.
{GITHUB_PERSONAL_TOKEN}
{GITHUB_PERSONAL_TOKEN_FILE}

# A GitHub App instead of a token; its installation is found by itself.
{GITHUB_APP_ID}
{GITHUB_APP_INSTALLATION_ID}
{GITHUB_APP_PRIVATE_KEY_FILE}

# Or a registration token, valid for an hour; or a JIT configuration of one runner.
{RUNNER_TOKEN_FILE}
{RUNNER_JITCONFIG_FILE}

# until-job: the credential is dropped before the first step of a job (docs/security.md); best with
# an env file that is deleted or a secret's file. RUNNER_SUDO=0: jobs cannot become root.
{RUNNER_CREDENTIAL}
{RUNNER_SUDO}

# What GitHub shows. A random suffix makes each name unique; empty is the container's host name.
{RUNNER_NAME}
{RUNNER_LABELS}
{RUNNER_GROUP}

# Who runs the jobs, and where GitHub's runner is in the image.
{RUNNER_USER}
{RUNNER_HOME}
{RUNNER_WORKDIR}

# How a stop treats a job that is running: it may go on for so many seconds before it is cancelled.
# Give `docker stop --time` ten seconds more than this.
{RUNNER_DRAIN_TIMEOUT}

# Leave after so many seconds without a job; 0 waits for ever.
{RUNNER_IDLE_TIMEOUT}

# GitHub Enterprise Server, or a company's own certificate authority (PEM).
{GITHUB_HOST}
{RUNNER_CA_FILE}

# console, lines for people, which auto is, or json. Levels: debug, info, warning, error.
{RUNNER_LOG_FORMAT}
{RUNNER_LOG_LEVEL}
"""
_EXAMPLES = {
    **PLACEHOLDERS,
    "GITHUB_PERSONAL_TOKEN_FILE": "/run/secrets/github-token",
    "GITHUB_APP_ID": "123456",
    "GITHUB_APP_PRIVATE_KEY_FILE": "/run/secrets/github-app.pem",
    "RUNNER_TOKEN_FILE": "/run/secrets/registration-token",
    "RUNNER_JITCONFIG_FILE": "/run/secrets/jit-configuration",
    "RUNNER_NAME": "docker",
    "RUNNER_LABELS": "docker,linux-small",
    "RUNNER_GROUP": "Default",
    "GITHUB_HOST": "github.example.com",
    "RUNNER_CA_FILE": "/etc/ssl/certs/company.pem",
}
_SET = {*PLACEHOLDERS, "RUNNER_NAME", "RUNNER_LABELS"}  # the lines that are not commented out
# The image sets the first two, and an env file cannot name itself.
_LEFT_OUT = {"RUNNER_VERSION", "RUNNER_RELEASED", "RUNNER_ENVFILE"}


def main(argv: Sequence[str]) -> int:
    """Print the settings or the env file; return 0, or 78 with the reasons if they are wrong."""
    parser = Parser(
        prog="gh-runner settings",
        description="Show every setting, its value and where it came from; secrets only as set.",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--template", action="store_true", help="print an env file to fill in")
    options = parser.parse_args(argv)
    if options.template:
        _print(template())
        return ExitCode.DONE
    log.configure("error")
    try:
        values = sources.read(Given.divide(environment()))
    except Failure as failure:
        log.error("settings.wrong", failure.message, hint=failure.hint, code=int(failure.code))
        return failure.code
    _print(f"{json.dumps(described(values))}\n" if options.json else table(values))
    return ExitCode.DONE


def described(values: Values) -> dict[str, Any]:
    """Return settings, origins and notes as an object for JSON, with all secrets redacted."""
    rows = {name: {"value": value, "from": origin} for name, value, origin in _rows(values)}
    found = {"settings": rows, "recognised": values.recognised, "notes": values.notes}
    told: dict[str, Any] = redaction.redact_all(found)  # type: ignore[assignment]
    return told


def table(values: Values) -> str:
    """Return a line for each setting, then the notes on what was recognised or corrected."""
    rows = [(name, value or "-", origin) for name, value, origin in _rows(values)]
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    lines = [f"{n:{widths[0]}}  {v:{widths[1]}}  {origin}" for n, v, origin in rows]
    more = [f"! {line}" for line in (values.recognised, *values.notes) if line]
    return "\n".join([*lines, *more, ""])


def _rows(values: Values) -> list[tuple[str, str, str]]:
    rows = [
        (name, _written(getattr(values.settings, about["field"])), _origin(values, name))
        for name, about in variables().items()
    ]
    for name in SECRETS:
        is_set = name in values.secrets
        rows.append((name, "set" if is_set else "", _origin(values, name) if is_set else ""))
    return rows


def _origin(values: Values, name: str) -> str:
    return values.origins.get(name, "default")


def _written(value: object) -> str:
    """Return a value as an operator would write it."""
    match value:
        case bool():
            return "1" if value else "0"
        case float():
            return f"{value:g}"
        case tuple():
            return ",".join(value)
    return str(value)


def template() -> str:
    """Return .env-example: the most used settings first, and then a line for every other one."""
    names = {*variables(), *SECRETS, *(f"{secret}_FILE" for secret in SECRETS)}
    parts = [_TEMPLATE.format_map({name: _line(name) for name in names})]
    for name, about in variables().items():
        if f"{{{name}}}" not in _TEMPLATE and name not in _LEFT_OUT:
            words = about["about"][0].upper() + about["about"][1:]
            comment = textwrap.fill(f"{words}.", _WIDTH - 2, break_on_hyphens=False)
            parts.append(f"{textwrap.indent(comment, '# ')}\n{_line(name)}\n")
    return "\n".join(parts)


def _line(name: str) -> str:
    default = variables()[name]["default"] if name in variables() else ""
    return f"{'' if name in _SET else '#'}{name}={_EXAMPLES.get(name, default)}"


def _print(text: str) -> None:
    """Write to stdout, in UTF-8 whatever the locale is, with all secrets redacted."""
    os.write(1, redaction.redact(text).encode(errors="backslashreplace"))
