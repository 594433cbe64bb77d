"""Every setting, once: its variable, its default, its check and its sentence in the README.

`load` turns the environment, the env file and the *_FILE variables into one frozen `Settings`,
or into one Failure that lists every problem. A new setting is one more field of `Settings`.
"""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from entrypoint.errors import ExitCode, Failure
from entrypoint.secrets import SECRETS

MAX_NAME = 64  # GitHub's limit; the listener itself checks nothing but "not empty"
MAX_LABEL = 256  # the runner's; one label over it and config.sh silently drops them all
_SUFFIX_BYTES = 4
_TRUE, _FALSE = {"1", "true", "yes", "on"}, {"0", "false", "no", "off"}
_NAME_PART = re.compile(r"[A-Za-z0-9_.-]+")

# Names of the runner's own that happen to look like ours; they are passed on as they are.
_FOREIGN = {
    "RUNNER_ALLOW_RUNASROOT",
    "RUNNER_MANUALLY_TRAP_SIG",
    "RUNNER_TEMP",
    "RUNNER_TOOL_CACHE",
    "RUNNER_UPDATE_CA_CERTS",
    "RUNNER_WAIT_FOR_DOCKER_IN_SECONDS",
}

Parser = Callable[[str], Any]


class Problem(ValueError):
    """What is wrong with one value, said so that "VARIABLE: " can stand before it."""


def text(value: str) -> str:
    """Take any one line."""
    if not value.isprintable():
        raise Problem("has a line break or another control character in it")
    return value


def name(value: str) -> str:
    """Take the name of an owner, a repository or an enterprise, which is no URL and no path."""
    if not value:
        return value
    if "/" in value:
        raise Problem(f"{value!r} holds a slash; it takes the bare name, no URL and no path")
    if not _NAME_PART.fullmatch(value):
        raise Problem(f"{value!r} is not a name on GitHub: letters, digits, '-', '_' and '.' only")
    return value


def flag(value: str) -> bool:
    """Take 1 or 0, true or false, yes or no, on or off."""
    if value.lower() in _TRUE | _FALSE:
        return value.lower() in _TRUE
    raise Problem(f"{value!r} is neither 1 nor 0 (true, false, yes, no, on and off do as well)")


def seconds(value: str) -> float:
    """Take a number of seconds, 0 or more."""
    try:
        number = float(value)
    except ValueError:
        number = -1.0
    if not 0 <= number < 10**9:
        raise Problem(f"{value!r} is not a number of seconds, 0 or more")
    return number


def count(value: str) -> int:
    """Take a whole number, 0 or more."""
    if not (value.isascii() and value.isdigit()):
        raise Problem(f"{value!r} is not a whole number, 0 or more")
    return int(value)


def path(value: str) -> str:
    """Take an absolute path."""
    if not value.startswith("/"):
        raise Problem(f"{value!r} is not an absolute path")
    return value


def url(value: str) -> str:
    """Take an http or https URL; a slash at its end is cut, since GitHub answers 404 to it."""
    if value and not re.fullmatch(r"https?://[^\s/@]+(/[^\s?#@]*)?", value):
        raise Problem("is not a URL of the form https://HOST[/PATH] (and may hold no password)")
    return value.rstrip("/")


def host(value: str) -> str:
    """Take a host name, with a port if need be."""
    if not re.fullmatch(r"[A-Za-z0-9.-]+(:\d+)?", value):
        raise Problem(f"{value!r} is not a host name; it takes github.com, without https://")
    return value.lower()


def labels(value: str) -> tuple[str, ...]:
    """Take labels divided by commas; spaces around them and empty ones are dropped."""
    found = tuple(label.strip() for label in value.split(",") if label.strip())
    for label in found:
        if len(label) > MAX_LABEL:
            raise Problem(f"a label has {len(label)} characters, more than {MAX_LABEL}")
        if not label.isprintable():
            raise Problem(f"the label {label!r} has a control character in it")
    return tuple(dict.fromkeys(found))


def choice(*allowed: str) -> Parser:
    """Make a parser that takes one of a few words."""

    def parse(value: str) -> str:
        if value.lower() not in allowed:
            raise Problem(f"{value!r} is not one of {', '.join(allowed)}")
        return value.lower()

    return parse


def setting(variable: str, default: str, parse: Parser, about: str) -> Any:
    """Declare one setting: the default is written as a user would write it."""
    return field(
        metadata={"variable": variable, "default": default, "parse": parse, "about": about}
    )


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What the operator wants; made once, never changed, and without any secret."""

    owner: str = setting("GITHUB_OWNER", "", name, "user or organization that owns the runner")
    repository: str = setting(
        "GITHUB_REPOSITORY", "", name, "repository of that owner; empty: the whole organization"
    )
    host: str = setting("GITHUB_HOST", "github.com", host, "GitHub's host")
    api_url: str = setting(
        "GITHUB_API_URL", "", url, "URL of the REST API; empty: derived from the host"
    )
    name: str = setting(
        "RUNNER_NAME", "", text, "runner name; empty: the host name. A random suffix is added"
    )
    labels: tuple[str, ...] = setting("RUNNER_LABELS", "", labels, "labels, divided by commas")
    group: str = setting("RUNNER_GROUP", "", text, "runner group; empty: the default group")
    workdir: str = setting("RUNNER_WORKDIR", "_work", text, "work folder of the jobs")
    user: str = setting("RUNNER_USER", "runner", text, "user that jobs run as")
    home: str = setting("RUNNER_HOME", "/home/runner", path, "directory of GitHub's runner")
    ephemeral: bool = setting("RUNNER_EPHEMERAL", "1", flag, "one job, then leave")
    disable_update: bool = setting(
        "RUNNER_DISABLE_UPDATE", "1", flag, "do not let the runner replace itself"
    )
    no_default_labels: bool = setting(
        "RUNNER_NO_DEFAULT_LABELS", "0", flag, "leave out self-hosted, Linux and X64 or ARM64"
    )
    envfile: str = setting(
        "RUNNER_ENVFILE", "", text, "env file that is read, then deleted; wins over the environment"
    )
    log_format: str = setting(
        "RUNNER_LOG_FORMAT",
        "auto",
        choice("auto", "console", "json"),
        "auto: console on a terminal",
    )
    log_level: str = setting(
        "RUNNER_LOG_LEVEL",
        "info",
        choice("debug", "info", "warning", "error"),
        "least level that is logged",
    )
    stop_timeout: float = setting(
        "RUNNER_STOP_TIMEOUT", "9", seconds, "seconds a stop may take, a drain left out"
    )
    cancel_timeout: float = setting(
        "RUNNER_CANCEL_TIMEOUT",
        "4",
        seconds,
        "seconds a cancelled job has before its processes are killed",
    )
    drain_timeout: float = setting(
        "RUNNER_DRAIN_TIMEOUT", "0", seconds, "seconds a running job may go on after a stop"
    )
    github_timeout: float = setting(
        "GITHUB_TIMEOUT", "60", seconds, "seconds GitHub may take at the start, retries included"
    )

    @classmethod
    def restore(cls, values: Mapping[str, Any]) -> Settings:
        """Return the settings that `dataclasses.asdict` and JSON have carried here."""
        return cls(**{**values, "labels": tuple(values["labels"])})

    @property
    def web_url(self) -> str:
        """The address that config.sh takes: the repository's or the organization's page."""
        return f"https://{self.host}/{'/'.join(filter(None, (self.owner, self.repository)))}"

    @property
    def workdir_path(self) -> str:
        """The work folder as an absolute path; a relative one is below the runner's directory."""
        return os.path.join(self.home, self.workdir)


def variables() -> dict[str, dict[str, Any]]:
    """Return all that is known of each setting, by its variable."""
    return {f.metadata["variable"]: {"field": f.name, **f.metadata} for f in fields(Settings)}


def parse(values: Mapping[str, str], problems: Sequence[str] = ()) -> Settings:
    """Turn the values that were given into Settings, or raise a Failure with every problem.

    `problems` are those found before. An empty value is the default, as in a compose file.
    """
    known = variables()
    parsed, problems = {}, [*problems, *misspelt(values, [*known, *SECRETS])]
    for variable, about in known.items():
        given = values.get(variable, "").strip() or about["default"]
        try:
            parsed[about["field"]] = about["parse"](given)
        except Problem as problem:
            problems.append(f"{variable}: {problem}")
    if not problems:
        settings = Settings(**parsed)
        problems = contradictions(settings, values)
    if problems:
        raise wrong(problems)
    return settings


def wrong(problems: list[str]) -> Failure:
    """Make the one Failure that tells all problems of the settings."""
    return Failure(ExitCode.CONFIG, "the settings are wrong: " + "; ".join(problems))


def contradictions(settings: Settings, values: Mapping[str, str]) -> list[str]:
    """Return what is wrong with settings that are each fine by themselves."""
    problems = []
    if not settings.owner:
        problems.append("GITHUB_OWNER: is missing; it names the user or organization")
    if not any(values.get(secret) for secret in SECRETS):
        problems.append(
            "GITHUB_PERSONAL_TOKEN: no credential is given (nor GITHUB_PERSONAL_TOKEN_FILE)"
        )
    if settings.no_default_labels and not settings.labels:
        problems.append("RUNNER_NO_DEFAULT_LABELS: needs RUNNER_LABELS, a runner must have a label")
    return problems


def misspelt(values: Mapping[str, str], known: list[str]) -> list[str]:
    """Return a question for each unknown name that is close to one of ours."""
    names = {*known, *(f"{secret}_FILE" for secret in SECRETS)}
    questions = []
    for variable in sorted(values):
        if variable.startswith(("RUNNER_", "GITHUB_")) and variable not in names | _FOREIGN:
            import difflib  # noqa: PLC0415 - needed only where a name is unknown

            close = difflib.get_close_matches(variable, names, n=1, cutoff=0.8)
            if close:
                questions.append(f"{variable}: is not known, did you mean {close[0]}?")
    return questions


def unique(prefix: str) -> str:
    """Return a runner name that no other has: a random suffix, and no more than 64 characters."""
    suffix = "-" + os.urandom(_SUFFIX_BYTES).hex()
    return (prefix or socket.gethostname())[: MAX_NAME - len(suffix)] + suffix
