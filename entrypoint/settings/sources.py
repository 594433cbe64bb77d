"""Where values come from: the environment, the env file on top of it, then the *_FILE variables.

Nothing is changed here: no file is deleted before all settings have been found right.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from entrypoint.container import account, image
from entrypoint.errors import ExitCode, Failure
from entrypoint.settings import credential, parsers, rules, secret_files
from entrypoint.settings.given import Given
from entrypoint.settings.parsers import Problem
from entrypoint.settings.runner_names import MAX_NAME, shortened
from entrypoint.settings.schema import Settings, ours, variables
from entrypoint.settings.secret_files import ENVFILE, SecretFile
from entrypoint.vault import ALIASES, SECRETS

_APP_KEY = "GITHUB_APP_PRIVATE_KEY"  # the only one of several lines
_STATE_DIR = "RUNNER_STATE_DIR"
_TOKEN = re.compile("[!-~]*")


class Values(NamedTuple):
    """What the sources give: `others` are the env file's variables that are none of ours."""

    settings: Settings
    secrets: dict[str, str]
    notes: list[str]
    others: dict[str, str]


def read(given: Given, files: dict[str, SecretFile] | None = None) -> Values:
    """Return the settings, the secrets by variable and what was put right; change nothing.

    Raises a Failure (78) that lists every problem. `files` takes in the files that were read, by
    the variables that name them.
    """
    # The image knows its runner; what the operator says of it wins.
    given = Given(image.release(), {}).under({**given.settings, **given.secrets})
    environ, files = given.settings, {} if files is None else files
    path = parsers.unquoted(environ.get(ENVFILE, ""))
    set_by_file = read_env_file(path, files) if path else {}
    given = given.under(set_by_file)
    secrets, notes, problems = gather_secrets(given, files)
    settings = rules.parse(Given(given.settings, secrets), problems)
    if user := account.lookup(settings.user):
        whys = {name: secret_files.why_untrusted(file, user) for name, file in files.items()}
        problems = [f"{name}: {files[name].path} {why}" for name, why in whys.items() if why]
        if problems:
            raise rules.wrong(problems)
    notes += [*spelling_notes(given.settings, settings), *credential.caveats(secrets)]
    if _STATE_DIR in set_by_file and set_by_file[_STATE_DIR] != environ.get(_STATE_DIR):
        notes.append(
            f"{_STATE_DIR}: is set in the env file, where the health check (`gh-runner status`)"
            " does not see it; set it in the container's environment"
        )
    others = {name: value for name, value in set_by_file.items() if name not in ours()}
    return Values(settings, secrets, notes, others)


def read_env_file(path: str, files: dict[str, SecretFile]) -> dict[str, str]:
    """Return what an env file sets: NAME=value lines, with `export`, quotes and comments."""
    from io import StringIO

    from dotenv.parser import parse_stream  # 25 ms, only with an env file

    try:
        file = files[ENVFILE] = secret_files.read(path)
    except Problem as problem:
        raise Failure(
            ExitCode.CONFIG,
            f"{ENVFILE}: {path} {problem}",
            "mount the file into the container (it is deleted at each start, so every start needs"
            " it anew), or leave RUNNER_ENVFILE empty",
        ) from None
    values, problems = {}, []
    for binding in parse_stream(StringIO(file.text)):
        if binding.error or (binding.key and binding.value is None):
            line = binding.original.line
            problems.append(f"{ENVFILE}: line {line} of {path} is not NAME=value")
        elif binding.key:
            values[binding.key] = binding.value or ""
    if problems:
        raise rules.wrong(problems)
    return values


def gather_secrets(
    given: Given, files: dict[str, SecretFile]
) -> tuple[dict[str, str], list[str], list[str]]:
    """Return the secrets by variable, what was put right, and what is wrong."""
    secrets, notes, problems = {}, [], []
    for variable in SECRETS:
        path = parsers.unquoted(given.settings.get(f"{variable}_FILE", ""))
        origin = f"{variable}_FILE: {path}" if path else f"{variable}:"
        try:
            raw = _raw_secret(variable, path, given, files)
            value = parsers.unquoted(raw)
            _require_form(variable, value)
        except Problem as problem:
            problems.append(f"{origin} {problem}")
            continue
        if value:
            secrets[variable] = value
        if value != raw:
            notes.append(f"{origin} white space or quotes around it were cut")
    return secrets, notes, problems


def _raw_secret(variable: str, path: str, given: Given, files: dict[str, SecretFile]) -> str:
    """Return one secret as it is given, but without the line break that ends a file."""
    names = [name for name in (variable, *_aliases(variable)) if given.secrets.get(name)]
    if len({given.secrets[name] for name in names}) > 1:
        raise Problem(f"is given together with {names[1]}, which says something else")
    if not path:
        return given.secrets[names[0]] if names else ""
    if names:
        raise Problem(f"is given together with {names[0]}; one of them is enough")
    file = files[f"{variable}_FILE"] = secret_files.read(path)
    if not file.text.strip():
        raise Problem("is empty")
    return file.text.removesuffix("\n").removesuffix("\r")


def _aliases(variable: str) -> list[str]:
    """Return the other names of a secret."""
    return [alias for alias, name in ALIASES.items() if name == variable]


def _require_form(variable: str, value: str) -> None:
    """Raise a Problem, which never shows the value, for what cannot be such a secret."""
    if variable == _APP_KEY and value:
        from cryptography.hazmat.primitives import serialization  # 30 ms
        from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

        try:
            pem = parsers.private_key(value).encode()
            is_rsa = isinstance(serialization.load_pem_private_key(pem, None), RSAPrivateKey)
        except (ValueError, TypeError) as error:
            known = str(error) if isinstance(error, Problem) else "is no private key"
            raise Problem(known) from None
        if not is_rsa:
            raise Problem("is no RSA private key")
    elif variable == "RUNNER_JITCONFIG" and value:
        from entrypoint.settings import jit_configuration  # most runners have a token

        jit_configuration.read(value)
    elif not _TOKEN.fullmatch(value):
        raise Problem("holds more than one line, a space or a control character, as no token does")


def spelling_notes(given: Mapping[str, str], settings: Settings) -> list[str]:
    """Return what the settings put right without a word."""
    quoted = [
        v for v in variables() if parsers.unquoted(given.get(v, "")) != given.get(v, "").strip()
    ]
    notes = [f"{name}: the quotes around it were cut" for name in quoted]
    raw = [label for label in parsers.unquoted(given.get("RUNNER_LABELS", "")).split(",") if label]
    if raw and raw != list(settings.labels):
        notes.append("RUNNER_LABELS: spaces, empty and repeated labels were dropped")
    if shortened(settings.name) != settings.name:
        notes.append(f"RUNNER_NAME: was cut, GitHub takes {MAX_NAME} characters with the suffix")
    return notes
