"""Where values come from: the environment, the env file on top of it, then the *_FILE variables.

`load` runs in a child process of PID 1, which never sees a secret. It deletes the env file only
once everything in it has been found right, so that nothing of it is lost to a mistake.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from entrypoint import account, leftovers, runner
from entrypoint.errors import ExitCode, Failure
from entrypoint.naming import MAX_NAME, shortened
from entrypoint.parsers import Problem
from entrypoint.secrets import SECRETS, Vault
from entrypoint.settings import Settings, parse, wrong

MAX_FILE = 64 * 1024  # bytes; the largest credential is an App's private key of some 3 KiB
_MULTILINE = {"GITHUB_APP_PRIVATE_KEY"}
_QUOTES = ("'", '"')


def load(environ: Mapping[str, str], vault: Vault) -> dict[str, Any]:
    """Return the settings and what was put right on the way; put the secrets into the vault.

    Raises a Failure that lists every problem; the env file is still there then.
    """
    settings, secrets, notes = read(environ)
    user = account.lookup(settings.user)
    problems = runner.problems(settings, user)
    if problems or user is None:
        raise wrong(problems)
    if envfile := environ.get("RUNNER_ENVFILE"):
        delete_env_file(envfile, user)
    vault.fill(secrets)
    if stale := leftovers.clear(settings.home, settings.workdir_path):
        notes.append(f"cleared what an earlier start has left: {' '.join(stale)}")
    return {"settings": asdict(settings), "notes": notes}


def read(environ: Mapping[str, str]) -> tuple[Settings, dict[str, str], list[str]]:
    """Return the settings, the secrets by variable and what was put right; change nothing."""
    given = dict(environ)
    if envfile := given.get("RUNNER_ENVFILE"):
        given |= read_env_file(envfile)
    secrets, notes, problems = gather_secrets(given)
    settings = parse({**given, **secrets}, problems)
    return settings, secrets, notes + spelling_notes(given, settings)


def read_env_file(path: str) -> dict[str, str]:
    """Return what an env file sets: NAME=value lines, with `export`, quotes and comments."""
    from io import StringIO  # noqa: PLC0415

    from dotenv.parser import parse_stream  # noqa: PLC0415 - 25 ms, only with an env file

    try:
        content = read_text(path)
    except Problem as problem:
        raise Failure(
            ExitCode.CONFIG,
            f"RUNNER_ENVFILE: {path} {problem}",
            "mount the file into the container (it is deleted at each start, so every start needs"
            " it anew), or leave RUNNER_ENVFILE empty",
        ) from None
    values, problems = {}, []
    for binding in parse_stream(StringIO(content)):
        if binding.error or (binding.key and binding.value is None):
            line = binding.original.line
            problems.append(f"RUNNER_ENVFILE: line {line} of {path} is not NAME=value")
        elif binding.key:
            values[binding.key] = binding.value or ""
    if problems:
        raise wrong(problems)
    return values


def read_text(path: str) -> str:
    """Return the text of a regular file that is no symbolic link; a Problem says why not."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise Problem("is not a regular file")
            content = file.read(MAX_FILE + 1)
    except OSError as error:
        raise Problem(f"cannot be read: {error.strerror}") from None
    if len(content) > MAX_FILE:
        raise Problem(f"is larger than {MAX_FILE} bytes")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Problem("is not UTF-8 text") from None


def delete_env_file(path: str, user: account.Account) -> None:
    """Delete the env file; refuse to go on if a job could read what cannot be deleted."""
    try:
        os.unlink(path)
    except OSError as error:
        if account.can(user, path, os.R_OK):
            raise Failure(
                ExitCode.CONFIG,
                f"RUNNER_ENVFILE: {path} cannot be deleted ({error.strerror}), and jobs, which"
                f" run as {user.name}, could read it",
                "mount the directory that holds it writable instead of the file alone, or make"
                " the file readable for root only (chown root, chmod 600)",
            ) from None


def gather_secrets(given: Mapping[str, str]) -> tuple[dict[str, str], list[str], list[str]]:
    """Return the secrets by variable, what was put right, and what is wrong."""
    secrets, notes, problems = {}, [], []
    for variable in SECRETS:
        try:
            raw = _raw_secret(variable, given)
            value = trimmed(raw)
            if variable not in _MULTILINE and not (value.isprintable() and " " not in value):
                raise Problem("holds more than one line, a space or a control character")
        except Problem as problem:
            problems.append(f"{_origin(variable, given)}: {problem}")
            continue
        if value:
            secrets[variable] = value
        if value != raw:
            notes.append(f"{_origin(variable, given)}: white space or quotes around it were cut")
    return secrets, notes, problems


def _origin(variable: str, given: Mapping[str, str]) -> str:
    return f"{variable}_FILE" if given.get(f"{variable}_FILE") else variable


def _raw_secret(variable: str, given: Mapping[str, str]) -> str:
    """Return one secret as it is given, but without the line break that ends a file."""
    path = given.get(f"{variable}_FILE", "")
    if not path:
        return given.get(variable, "")
    if given.get(variable):
        raise Problem(f"is given together with {variable}; one of them is enough")
    try:
        content = read_text(path)
    except Problem as problem:
        raise Problem(f"{path} {problem}") from None
    if not content.strip():
        raise Problem(f"{path} is empty")
    return content.removesuffix("\n").removesuffix("\r")


def trimmed(secret: str) -> str:
    """Return a secret without white space and one pair of quotes around it."""
    value = secret.strip()
    if len(value) > 1 and value[0] == value[-1] and value[0] in _QUOTES:
        value = value[1:-1].strip()
    return value


def spelling_notes(given: Mapping[str, str], settings: Settings) -> list[str]:
    """Return what the settings put right without a word."""
    notes = []
    raw = [label for label in given.get("RUNNER_LABELS", "").split(",") if label]
    if raw and raw != list(settings.labels):
        notes.append("RUNNER_LABELS: spaces, empty and repeated labels were dropped")
    if shortened(settings.name) != settings.name:
        notes.append(f"RUNNER_NAME: was cut, GitHub takes {MAX_NAME} characters with the suffix")
    return notes
