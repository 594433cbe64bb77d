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

    content = read_text(path, f"RUNNER_ENVFILE: {path}")
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


def read_text(path: str, subject: str) -> str:
    """Return the text of a regular file that is no symbolic link; `subject` starts each error."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise wrong([f"{subject} is not a regular file"])
            content = file.read(MAX_FILE + 1)
    except OSError as error:
        raise wrong([f"{subject} cannot be read: {error.strerror}"]) from None
    if len(content) > MAX_FILE:
        raise wrong([f"{subject} is larger than {MAX_FILE} bytes"])
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise wrong([f"{subject} is not UTF-8 text"]) from None


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
            value, note = _secret(variable, given)
        except Failure as failure:
            problems.append(failure.message)
            continue
        if value:
            secrets[variable] = value
        if note:
            notes.append(note)
    return secrets, notes, problems


def _secret(variable: str, given: Mapping[str, str]) -> tuple[str, str]:
    """Return one secret, or "", and a note if something around it was cut."""
    path = given.get(f"{variable}_FILE", "")
    raw = given.get(variable, "")
    if path and raw:
        raise wrong([f"{variable}: is given together with {variable}_FILE; one of them is enough"])
    if path:
        raw = read_text(path, f"{variable}_FILE: {path}")
        if not raw.strip():
            raise wrong([f"{variable}_FILE: {path} is empty"])
    value = raw.strip()
    if len(value) > 1 and value[0] == value[-1] and value[0] in _QUOTES:
        value = value[1:-1].strip()
    if variable not in _MULTILINE and not (value.isprintable() and " " not in value):
        subject = f"{variable}_FILE: {path}" if path else f"{variable}:"
        raise wrong([f"{subject} holds more than one line, a space or a control character"])
    cut = value not in (raw, raw.rstrip("\r\n"))
    return value, f"{variable}: white space or quotes around it were cut" if cut else ""


def spelling_notes(given: Mapping[str, str], settings: Settings) -> list[str]:
    """Return what the parsers put right without a word."""
    raw = [label for label in given.get("RUNNER_LABELS", "").split(",") if label]
    if raw and raw != list(settings.labels):
        return ["RUNNER_LABELS: spaces, empty and repeated labels were dropped"]
    return []
