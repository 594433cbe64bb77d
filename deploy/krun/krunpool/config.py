"""The configuration: made from the options, checked, with all problems at once."""

from __future__ import annotations

import math
import os
import re
import stat
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from krunpool.errors import Problem
from krunpool.options import ORCHESTRATOR, RUNNER, Given, usage

SHARED = "/gh-runner"  # path of the shared folder in a microVM
CHECKOUT = Path(__file__).resolve().parents[3]
STOP_MARGIN = 15.0  # seconds beyond the runner's own limits that a stop may take
MAX_VCPUS, MIN_MIB = 16, 128  # libkrun's limits; it ignores less memory than that
MIN_SECRET = 8  # characters
# Variables that no microVM gets: the orchestrator's own, and those that it sets itself.
OURS = {o.variable for o in (*ORCHESTRATOR, *RUNNER)} - {
    "RUNNER_GROUP",
    "RUNNER_LABELS",
    "RUNNER_USER",
}
DECIDED_HERE = {
    "RUNNER_NAME",
    "RUNNER_ENVFILE",
    "RUNNER_STATE_DIR",
    "RUNNER_STOP_FILE",
    "RUNNER_STOP_SECRET",
}
CREDENTIALS = ("GITHUB_PERSONAL_TOKEN", "GITHUB_APP_PRIVATE_KEY", "RUNNER_TOKEN")
TARGETS = ("GITHUB_OWNER", "GITHUB_REPOSITORY", "GITHUB_ENTERPRISE", "GITHUB_URL")
PASSED_PREFIXES = ("RUNNER_", "GITHUB_", "ACTIONS_RUNNER_")
PROXIES = {f"{kind}_PROXY" for kind in ("HTTP", "HTTPS", "NO", "ALL")}


class Mount(NamedTuple):
    """A folder of the host that a microVM mounts."""

    source: str
    target: str
    options: str


@dataclass(frozen=True)
class Credential:
    """A secret setting of the runner: its value, or a file that is read for each microVM."""

    variable: str
    value: str = field(default="", repr=False)
    path: str = ""

    def read(self) -> str:
        """Return the secret; a Problem that names the file and never the secret if that fails."""
        if not self.path:
            return self.value
        try:
            text = Path(self.path).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError, ValueError) as error:
            why = getattr(error, "strerror", None) or "it is not text"
            raise Problem(f"{self.path}: {why}") from None
        if not text:
            raise Problem(f"{self.path}: is empty")
        return text


@dataclass(frozen=True)
class Config:
    """What the user wants: all options and settings; made once."""

    runners: int
    prefix: str
    runtime: str
    sleep: float
    waits: bool
    directory: Path
    log: str
    verbose: int
    sweep_after: float
    cpus: int
    memory: int
    dns: str
    checkout: str
    image: str
    mounts: tuple[Mount, ...]
    lifetime: float
    runs: float
    secret: Credential
    credentials: tuple[Credential, ...]
    settings: Mapping[str, str]  # of the runner, without secrets

    @property
    def stop_seconds(self) -> float:
        """The seconds that a microVM may take from the request for a stop to its end."""
        return (
            _seconds_or(self.settings.get("RUNNER_STOP_TIMEOUT", ""), 9.0)
            + _seconds_or(self.settings.get("RUNNER_DRAIN_TIMEOUT", ""), 0.0)
            + STOP_MARGIN
        )


def _seconds_or(text: str, default: float) -> float:
    """Return a setting as a number; the runner itself checks it."""
    with suppress(ValueError):
        return max(0.0, float(text))
    return default


class Checker:
    """Calls many checks and keeps the problems, so that all are reported at once."""

    def __init__(self) -> None:
        """Begin without problems."""
        self.problems: list[str] = []

    def take(self, check: Any, *arguments: Any) -> Any:
        """Return what a check returns; if it raises a Problem, keep that and return None."""
        try:
            return check(*arguments)
        except Problem as problem:
            self.problems.append(str(problem))
            return None


def configure(words: Sequence[str], environ: Mapping[str, str]) -> Config:
    """Return the configuration; one Problem with a line for each mistake."""
    ours = Given(ORCHESTRATOR, words, environ)
    theirs = Given(RUNNER, ours.rest, environ)
    if ours.has("h") or theirs.has("h"):
        raise SystemExit(usage())
    take = Checker()
    if theirs.rest:
        take.problems.append(f"{theirs.rest[0]!r} is no option; -h lists them")
    runtime = theirs.one("RUNNER_RUNTIME") if theirs.has("R") else ours.one("ORCHESTRATOR_RUNTIME")
    runtime = runtime or theirs.one("RUNNER_RUNTIME")
    values: dict[str, Any] = {
        "runners": take.take(ours.number, "ORCHESTRATOR_RUNNERS", 1),
        "prefix": take.take(_prefix, ours),
        "runtime": take.take(_runtime_name, runtime),
        "sleep": take.take(ours.seconds, "ORCHESTRATOR_SLEEP"),
        "waits": not ours.has("I") and take.take(ours.flag, "ORCHESTRATOR_ISOLATION"),
        "directory": Path(ours.one("ORCHESTRATOR_DIR") or default_directory(environ)).absolute(),
        "log": theirs.one("RUNNER_LOG") if theirs.has("l") else ours.one("ORCHESTRATOR_LOG"),
        "verbose": _verbosity(take, ours, theirs),
        "sweep_after": take.take(ours.seconds, "ORCHESTRATOR_SWEEP"),
        "cpus": take.take(theirs.number, "RUNNER_CPUS", 1, MAX_VCPUS),
        "memory": take.take(theirs.number, "RUNNER_MEMORY", MIN_MIB),
        "dns": theirs.one("RUNNER_DNS"),
        "checkout": take.take(_checkout, theirs, runtime == "krunvm"),
        "image": theirs.one("RUNNER_IMAGE"),
        "mounts": _mounts(take, theirs, runtime),
        "lifetime": take.take(theirs.seconds, "RUNNER_TERMINATE") or math.inf,
        "runs": take.take(_runs, theirs),
        "secret": take.take(_secret, theirs),
        "credentials": _credentials(take, theirs, environ),
        "settings": _settings(take, theirs, environ),
    }
    if take.problems:
        raise Problem("\n".join(take.problems))
    return Config(**values)


def default_directory(environ: Mapping[str, str]) -> str:
    """Return a folder that is private, in memory if possible, and not cleared by the system."""
    if os.geteuid() == 0 and sys.platform == "linux":
        return "/run/gh-runner-krun"
    folder = environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir()
    return os.path.join(folder, f"gh-runner-krun-{os.geteuid()}")


def _prefix(given: Given) -> str:
    prefix = given.one("ORCHESTRATOR_PREFIX")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,31}", prefix):
        raise Problem(
            f"{given.name('ORCHESTRATOR_PREFIX')}: {prefix!r} must be 1 to 32 letters, digits, '_',"
            " '.' and '-', and not begin with one of the last three"
        )
    return prefix


def _runtime_name(text: str) -> str:
    """Return the runtime's full name; "" if the program has to choose."""
    if text in ("", "krunvm"):
        return text
    engine, _, runtime = text.partition("+")
    if engine != "podman" or ("+" in text and not runtime):
        raise Problem(f"-R: {text!r} is not podman+krun, podman+RUNTIME or krunvm")
    return f"podman+{runtime or 'krun'}"


def _verbosity(take: Checker, ours: Given, theirs: Given) -> int:
    counted = ours.count("v") + theirs.count("v")
    from_variable = take.take(_level, ours, "ORCHESTRATOR_VERBOSE")
    return counted or from_variable or take.take(_level, theirs, "RUNNER_VERBOSE") or 0


def _level(given: Given, variable: str) -> int:
    return given.number(variable, 0)


def _checkout(given: Given, writable: bool) -> str:
    path = given.one("RUNNER_DIR")
    if path and writable:
        raise Problem(
            f"{given.name('RUNNER_DIR')}: krunvm mounts nothing read-only, and jobs could write"
            " into this checkout"
        )
    if path and not path.startswith("/"):
        raise Problem(f"{given.name('RUNNER_DIR')}: {path!r} is no absolute path in the microVM")
    if path and not (CHECKOUT / "entrypoint").is_dir():
        raise Problem(f"{given.name('RUNNER_DIR')}: this program is not part of a checkout")
    return path


def _mounts(take: Checker, given: Given, runtime: str) -> tuple[Mount, ...]:
    name = given.name("RUNNER_MOUNT")
    lines = [line.strip() for line in given.all("RUNNER_MOUNT")]
    mounts = [take.take(_mount, line, name, runtime == "krunvm") for line in lines if line]
    return tuple(mount for mount in mounts if mount)


def _mount(text: str, name: str, only_folders: bool) -> Mount:
    source, _, rest = text.partition(":")
    target, _, options = rest.partition(":")
    if not source or not target.startswith("/") or ":" in options:
        raise Problem(f"{name}: {text!r} is not HOSTDIR:VMDIR[:OPTIONS]")
    if os.path.normpath(target) in ("/", SHARED):
        raise Problem(f"{name}: {target} is taken in the microVM")
    if not os.path.exists(source):
        raise Problem(f"{name}: {source} does not exist")
    if only_folders and not os.path.isdir(source):
        raise Problem(f"{name}: {source} is no folder, and krunvm mounts nothing else")
    if only_folders and options:
        raise Problem(f"{name}: krunvm knows no options of a mount, so not {options!r}")
    return Mount(os.path.abspath(source), target, options)


def _runs(given: Given) -> float:
    runs = given.number("RUNNER_REPEAT", -1)
    if runs == 0:
        raise Problem(f"{given.name('RUNNER_REPEAT')}: 0 would start nothing; -1 is no limit")
    return math.inf if runs < 0 else runs


def _from_file(given: Given, variable: str, target: str) -> Credential:
    """Return a secret from the file that an option names, or from a variable."""
    letter = given.name(variable)
    value = given.one(variable)
    if not letter.startswith("-"):
        return Credential(target, value)
    if not value.startswith("@") or value == "@":
        raise Problem(
            f"{letter}: a secret in the command line can be seen by everybody on this host, so"
            f" this one should be replaced; write it into a file and say {letter} @FILE, or set"
            f" {variable}"
        )
    path = value[1:]
    found = Credential(target, path=os.path.abspath(path))
    try:
        text = found.read()
    except Problem as problem:
        raise Problem(f"{letter}: {problem}") from None
    regular = stat.S_ISREG(os.stat(path).st_mode)  # a pipe can be read only once
    return found if regular else Credential(target, text)


def _secret(given: Given) -> Credential:
    secret = _from_file(given, "RUNNER_SECRET", "RUNNER_STOP_SECRET")
    if secret.value and len(secret.value) < MIN_SECRET:
        raise Problem(f"RUNNER_SECRET: must have {MIN_SECRET} characters or more")
    return secret


def _credentials(take: Checker, given: Given, environ: Mapping[str, str]) -> tuple[Credential, ...]:
    """Return the one credential, from whichever option or variable it comes."""
    found = []
    if given.one("RUNNER_PAT"):
        found.append(take.take(_from_file, given, "RUNNER_PAT", CREDENTIALS[0]))
    for variable in CREDENTIALS:
        if environ.get(variable):
            found.append(Credential(variable, environ[variable]))
        if path := environ.get(f"{variable}_FILE"):
            found.append(take.take(_readable, variable, path))
    if not found:
        take.problems.append(
            f"no credential: give -T @FILE, or set RUNNER_PAT or {', '.join(CREDENTIALS)}"
        )
    elif len(found) > 1 and not given.has("T"):
        names = ", ".join(c.variable for c in found if c)
        take.problems.append(f"more than one credential is set ({names}); one is enough")
    return tuple(c for c in found[:1] if c)


def _readable(variable: str, path: str) -> Credential:
    credential = Credential(variable, path=os.path.abspath(path))
    try:
        credential.read()
    except Problem as problem:
        raise Problem(f"{variable}_FILE: {problem}") from None
    return credential


def _settings(take: Checker, given: Given, environ: Mapping[str, str]) -> dict[str, str]:
    """Return the runner's settings under its own names, without secrets and labels."""
    known = OURS | DECIDED_HERE | {f"{c}{end}" for c in CREDENTIALS for end in ("", "_FILE")}
    passed = {
        name: value
        for name, value in environ.items()
        if value
        and name not in known
        and (name.startswith(PASSED_PREFIXES) or name.upper() in PROXIES)
    }
    passed.update(take.take(_target, given, environ) or {})
    group = given.one("RUNNER_GROUP")
    own = {
        "RUNNER_GROUP": "" if group.lower() == "default" else group,
        "RUNNER_LABELS": given.one("RUNNER_LABELS"),
        "RUNNER_USER": given.one("RUNNER_USER"),
    }
    if given.has("g") or environ.get("RUNNER_GITHUB"):
        own["GITHUB_HOST"] = given.one("RUNNER_GITHUB")
    if given.has("U") or take.take(given.flag, "RUNNER_UPDATE"):
        own["RUNNER_DISABLE_UPDATE"] = "0"
    return {name: value for name, value in {**passed, **own}.items() if value}


def _target(given: Given, environ: Mapping[str, str]) -> dict[str, str]:
    """Return the runner's scope, from -p and -s or from the runner's own settings."""
    name, principal = given.name("RUNNER_PRINCIPAL"), given.one("RUNNER_PRINCIPAL")
    others = [variable for variable in TARGETS if environ.get(variable)]
    if not principal:
        if not others:
            raise Problem("-p: whom the runner serves is missing (or GITHUB_URL, …)")
        return {}
    if others:
        raise Problem(f"{name} and {', '.join(others)} both say whom the runner serves")
    return _scoped(given, name, principal)


def _scoped(given: Given, name: str, principal: str) -> dict[str, str]:
    scope = given.one("RUNNER_SCOPE").lower()
    if scope[:3] not in ("rep", "org", "ent"):
        raise Problem(f"{given.name('RUNNER_SCOPE')}: {scope!r} is not repo, org or enterprise")
    owner, slash, repository = principal.strip("/").partition("/")
    if scope.startswith("rep"):
        if not repository or "/" in repository:
            raise Problem(f"{name}: {principal!r} is not OWNER/REPOSITORY")
        return {"GITHUB_OWNER": owner, "GITHUB_REPOSITORY": repository}
    if slash:
        raise Problem(f"{name}: {principal!r} has a '/', but -s says {scope}")
    return {"GITHUB_OWNER" if scope.startswith("org") else "GITHUB_ENTERPRISE": owner}
