"""Where values come from: the environment, the env file on top of it, then the *_FILE variables.

Nothing is changed here. Files are deleted later, once all settings have been found right.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from entrypoint import redaction
from entrypoint.container import account, certificates, image
from entrypoint.errors import ExitCode, Failure
from entrypoint.settings import (
    credential,
    migration,
    misspelt,
    parsers,
    proxies,
    rules,
    secret_files,
)
from entrypoint.settings.given import Given
from entrypoint.settings.migration import Translation
from entrypoint.settings.parsers import Problem, unquoted
from entrypoint.settings.runner_names import MAX_NAME, shortened
from entrypoint.settings.schema import Settings, ours, variables
from entrypoint.settings.secret_files import ENVFILE, SecretFile
from entrypoint.settings.target import Scope
from entrypoint.vault import ALIASES, SECRETS

_APP_KEY = "GITHUB_APP_PRIVATE_KEY"  # the only secret that has several lines
_STATE_DIR = "RUNNER_STATE_DIR"
_SYSTEMD = "Environment"
_TOKEN = re.compile("[!-~]*")
_SHORTEST_TOKEN = 8  # characters; GitHub's have 29 at least
_EXPANDED = re.compile(r"\$[{(]?[A-Za-z_]|`.+`|\{\{.+\}\}|%[A-Z_]+%|^~(/|$)")
_ODD_IN_LABEL = re.compile(r"[\s;#\[\](){}'\"]")
_ENVFILE_HINTS = {
    "No such file": (
        "mount the file into the container (it is deleted at each start, so every start needs it"
        " anew), or leave RUNNER_ENVFILE empty"
    ),
    "is a directory": (
        "where the file to be mounted is missing, Docker makes a directory of its name: check the"
        " path on the host"
    ),
    "Permission denied": "let the user that the container starts as read it, or start it as root",
    "UTF-8": "save it as UTF-8",
    "larger": "give the path of a file of NAME=value lines, and no more",
    "": "give the path of a plain file of NAME=value lines",
}


class Values(NamedTuple):
    """What the sources have given.

    `others` are variables to add to the environment: those of the env file that are not ours, and
    corrected ones. `origins` tells for each variable where its value came from. `recognised` is a
    line about the other project that the container was configured for, or empty.
    """

    settings: Settings
    secrets: dict[str, str]
    notes: list[str]
    others: dict[str, str]
    origins: dict[str, str]
    recognised: str


def read(given: Given, files: dict[str, SecretFile] | None = None) -> Values:
    """Return the settings, the secrets by variable, and notes on what was corrected.

    Nothing outside this process is changed. Raises a Failure (78) that lists every problem. The
    files that were read are added to `files`, by the variables that name them. From then on this
    process redacts the secrets in all that it writes.
    """
    _hide(given)
    files = {} if files is None else files
    path = unquoted(given.settings.get(ENVFILE, ""))
    set_by_file = read_env_file(path, files) if path else {}
    everything = given.under(set_by_file)
    _hide(everything)
    found = migration.translate(everything)
    values = _judge(everything, found, files)
    origins = _origins(set_by_file, given, files) | found.origins | values.origins
    if _STATE_DIR in set_by_file and set_by_file[_STATE_DIR] != given.settings.get(_STATE_DIR):
        values.notes.append(
            f"{_STATE_DIR}: is set in the env file, where the health check (`gh-runner status`)"
            " does not see it; set it in the container's environment"
        )
    taken = ours() | found.used | {*given.secrets}
    others = {name: value for name, value in set_by_file.items() if name not in taken}
    return values._replace(others={**others, **values.others}, origins=origins)


def _judge(given: Given, found: Translation, files: dict[str, SecretFile]) -> Values:
    """Turn all that was given into values; raises one Failure for all problems."""
    left = found.left(given)
    # The image tells which runner it has; what the operator sets overrides that.
    known = found.applied(given)
    known = Given({**image.release(), **known.settings}, known.secrets)
    secrets, notes, problems = gather_secrets(known, files)
    proxy = proxies.examine(known.settings)
    trust = certificates.choose(known.settings)
    problems = [*found.problems, *problems, *proxy.problems, *trust.problems]
    settings = rules.parse(Given({**known.settings, **left}, secrets), problems, found)
    settings = settings._replace(ca_file=trust.path)
    _require_trusted(files, settings)
    notes += [
        *found.notes,
        *spelling_notes(known.settings, settings, found),
        *proxy.notes,
        *trust.notes,
        *credential.caveats(secrets),
        *_repeated({**known.settings, **left}, secrets),
    ]
    origins = {"RUNNER_CA_FILE": trust.variable} if trust.variable else {}
    return Values(settings, secrets, notes, {**left, **proxy.corrected}, origins, found.line)


def _require_trusted(files: Mapping[str, SecretFile], settings: Settings) -> None:
    """Raise a Failure that lists the files that a job could have put there."""
    if user := account.lookup(settings.user):
        whys = {name: secret_files.why_untrusted(file, user) for name, file in files.items()}
        problems = [f"{name}: {files[name].path} {why}" for name, why in whys.items() if why]
        if problems:
            raise rules.wrong(problems)


def _origins(
    set_by_file: Mapping[str, str], given: Given, files: Mapping[str, SecretFile]
) -> dict[str, str]:
    """Return where each variable that is set came from, in words."""
    origins = dict.fromkeys(image.release(), "image")
    origins |= {
        name: "environment" for name, value in {**given.settings, **given.secrets}.items() if value
    }
    origins |= {name: "env file" for name, value in set_by_file.items() if value}
    for name, file in files.items():
        if name != ENVFILE:
            origins[name.removesuffix("_FILE")] = f"file {file.path}"
    return origins


def _hide(given: Given) -> None:
    """Redact all that may be a secret, before any of it could get into a message."""
    redaction.hide(*given.secrets.values())
    redaction.hide_user_info(given.settings)
    paths = (given.settings.get(f"{variable}_FILE", "") for variable in SECRETS)
    redaction.hide(*(path for path in paths if not _is_path(unquoted(path))))


def _is_path(value: str) -> bool:
    """Return whether a value looks like a path, and not like the secret that the file holds."""
    return value.startswith(("/", "./", "../")) and redaction.redact(value) == value


def read_env_file(path: str, files: dict[str, SecretFile]) -> dict[str, str]:
    """Return the variables of an env file: NAME=value lines; `export`, quotes, comments allowed."""
    from io import StringIO

    from dotenv.parser import parse_stream  # takes 25 ms, and few containers have an env file

    try:
        file = files[ENVFILE] = secret_files.read(path)
    except Problem as problem:
        hint = next(hint for sign, hint in _ENVFILE_HINTS.items() if sign in str(problem))
        raise Failure(ExitCode.CONFIG, f"{ENVFILE}: {path} {problem}", hint) from None
    values, problems = {}, []
    for binding in parse_stream(StringIO(file.text)):
        line = f"{ENVFILE}: line {binding.original.line} of {path}"
        if binding.error or (binding.key and binding.value is None):
            problems.append(f"{line} is not NAME=value")
        elif binding.key == _SYSTEMD:
            problems.append(f"{line} is one of a systemd unit; write NAME=value alone")
        elif binding.key:
            values[binding.key] = binding.value or ""
    if problems:
        raise rules.wrong(problems)
    return values


def gather_secrets(
    given: Given, files: dict[str, SecretFile]
) -> tuple[dict[str, str], list[str], list[str]]:
    """Return the secrets by variable, notes on what was corrected, and problems."""
    secrets, notes, problems = {}, [], []
    for variable in SECRETS:
        path = unquoted(given.settings.get(f"{variable}_FILE", ""))
        origin = f"{variable}_FILE: {path}" if path else f"{variable}:"
        if path and not _is_path(path):
            origin = f"{variable}_FILE:"
        try:
            raw = _raw_secret(variable, path, given, files)
            redaction.hide(raw)
            value = unquoted(raw)
            if value:
                notes += [f"{origin} {note}" for note in _require_form(variable, value)]
        except Problem as problem:
            problems.append(f"{origin} {problem}")
            continue
        if value:
            secrets[variable] = value
        if value != raw:
            notes.append(f"{origin} white space or quotes around it were cut")
    return secrets, notes, problems


def _raw_secret(variable: str, path: str, given: Given, files: dict[str, SecretFile]) -> str:
    """Return one secret as it is given; only the line break at the end of a file is cut."""
    names = [name for name in (variable, *_aliases(variable)) if given.secrets.get(name)]
    if len({given.secrets[name] for name in names}) > 1:
        raise Problem(f"is given together with {names[1]}, which says something else")
    if not path:
        return given.secrets[names[0]] if names else ""
    if names:
        raise Problem(f"is given together with {names[0]}; one of them is enough")
    if not _is_path(path) and not os.path.exists(path):
        raise Problem(f"takes the path of a file; the secret itself goes into {variable}")
    file = files[f"{variable}_FILE"] = secret_files.read(path)
    if not file.text.strip():
        raise Problem("is empty")
    return file.text.removesuffix("\n").removesuffix("\r")


def _aliases(variable: str) -> list[str]:
    """Return the other names of a secret."""
    return [alias for alias, name in ALIASES.items() if name == variable]


def _require_form(variable: str, value: str) -> list[str]:
    """Return notes on the form of a secret.

    Raises a Problem, which never shows the value, if the value cannot be such a secret.
    """
    if variable == _APP_KEY:
        return _require_key(value)
    if value == rules.PLACEHOLDERS.get(variable):
        raise Problem("is still the placeholder of .env-example")
    if variable == "RUNNER_JITCONFIG":
        from entrypoint.settings import jit_configuration  # only here: most are given a token

        jit_configuration.read(value)
        return []
    if "-----BEGIN" in value:
        raise Problem(f"is a key; an App's goes into {_APP_KEY}")
    if not _TOKEN.fullmatch(value):
        raise Problem("holds more than one line, a space or a control character, as no token does")
    if len(value) < _SHORTEST_TOKEN:
        raise Problem(f"has fewer than {_SHORTEST_TOKEN} characters, too few for a secret")
    meant = credential.variable_for(value)
    if meant and meant != variable:
        raise Problem(f"has the form of a {SECRETS[meant].partition(',')[0]}, which is {meant}")
    return []


def _require_key(value: str) -> list[str]:
    from cryptography.hazmat.primitives import serialization  # takes 30 ms; only Apps need it
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

    try:
        pem = parsers.private_key(value)
        redaction.hide(pem)
        is_rsa = isinstance(serialization.load_pem_private_key(pem.encode(), None), RSAPrivateKey)
    except (ValueError, TypeError) as error:
        known = str(error) if isinstance(error, Problem) else "is no private key"
        raise Problem(known) from None
    if not is_rsa:
        raise Problem("is no RSA private key")
    lines = value.replace("\\n", "\n").count("\n")
    if "-----BEGIN" in value and lines < pem.strip().count("\n"):
        return ["its line breaks were spaces or missing, and have been put back"]
    return []


def spelling_notes(given: Mapping[str, str], settings: Settings, found: Translation) -> list[str]:
    """Return notes on values that were corrected, and on values that may not mean what they say."""
    written = {name: given.get(name, "").strip() for name in variables()}
    quoted = [name for name, value in written.items() if unquoted(value) != value]
    notes = [f"{name}: the quotes around it were cut" for name in quoted]
    notes += [
        f"{name}: {redaction.shown(value)} is taken as it is written: no variable and no ~ is"
        " expanded in it"
        for name, value in written.items()
        if _EXPANDED.search(value)
    ]
    notes += _label_notes(unquoted(written["RUNNER_LABELS"]), settings)
    if shortened(settings.name) != settings.name:
        notes.append(f"RUNNER_NAME: was cut, GitHub takes {MAX_NAME} characters with the suffix")
    is_borrowed = "GITHUB_REPOSITORY" in found.origins
    if "/" in written["GITHUB_REPOSITORY"] and not (written["GITHUB_OWNER"] or is_borrowed):
        notes.append("GITHUB_REPOSITORY: what stands before its slash was taken as GITHUB_OWNER")
    if settings.allow_http and "http://" in (settings.target.server + settings.api_url):
        notes.append("GITHUB_ALLOW_HTTP: the credential is sent to GitHub unencrypted")
    is_wide = settings.target.scope is not Scope.REPOSITORY
    return notes + [
        guess.question
        for guess in misspelt.guesses(given)
        if not guess.of_jobs or (guess.meant == "GITHUB_REPOSITORY" and is_wide)
    ]


def _label_notes(given: str, settings: Settings) -> Iterator[str]:
    raw = [label for label in given.split(",") if label]
    if raw and raw != list(settings.labels):
        yield "RUNNER_LABELS: spaces, quotes, empty and repeated labels were dropped"
    for label in settings.labels:
        if _ODD_IN_LABEL.search(label):
            yield (
                f"RUNNER_LABELS: {redaction.shown(label)} is one label; labels are separated by"
                " commas, and have no brackets or quotes around them"
            )


def _repeated(given: Mapping[str, str], secrets: Mapping[str, str]) -> list[str]:
    """Return a warning for each variable that repeats a secret and that jobs can see."""
    return [
        f"{name}: holds the same as {variable}, and jobs see it; leave it out"
        for variable, secret in secrets.items()
        for name, value in given.items()
        if secret in value and name not in ours()
    ]
