"""Makes one frozen `Settings` from the given values, or reports every problem at once.

Each value is checked by itself first. Then come values that contradict each other, and then names
that may be misspelt.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from entrypoint import redaction
from entrypoint.errors import ExitCode, Failure
from entrypoint.settings import credential, migration, misspelt, parsers
from entrypoint.settings.given import Given
from entrypoint.settings.migration import Translation
from entrypoint.settings.parsers import Problem, unquoted
from entrypoint.settings.schema import Settings, variables
from entrypoint.settings.target import Scope, is_hosted
from entrypoint.vault import STOP_SECRET

# The values in .env-example.
PLACEHOLDERS = {
    "GITHUB_OWNER": "your-user-or-organization",
    "GITHUB_REPOSITORY": "your-repository",
    "GITHUB_PERSONAL_TOKEN": "ghp_put_your_token_here",
}
_LOOPBACK = re.compile(r"(localhost|127\.\d+\.\d+\.\d+|\[::1\])(:\d+)?")
_WITH_PASSWORD = ("RUNNER_ENGINE_OPTIONS",)  # may hold a registry's or a proxy's URL with password
_VARIABLE = re.compile(r"\b(?:GITHUB|RUNNER)_[A-Z_]+")
MAX_LABELS = 100  # of a JIT configuration, the default ones included
_DEFAULT_LABELS = 3
MIN_STOP_SECRET = 8  # characters

# Settings that a JIT configuration already contains, and settings that only a registration by this
# program needs.
_IN_JIT_CONFIGURATION = (
    "GITHUB_OWNER",
    "GITHUB_REPOSITORY",
    "GITHUB_ENTERPRISE",
    "GITHUB_URL",
    "GITHUB_HOST",
    "GITHUB_API_URL",
    "GITHUB_APP_ID",
    "GITHUB_APP_INSTALLATION_ID",
    "RUNNER_NAME",
    "RUNNER_LABELS",
    "RUNNER_GROUP",
    "RUNNER_WORKDIR",
    "RUNNER_EPHEMERAL",
    "RUNNER_NO_DEFAULT_LABELS",
)

# Variables by which config.sh and run.sh take a secret. They would stay in the environment that
# every job sees; ours are removed from it.
_INPUTS = {
    "ACTIONS_RUNNER_INPUT_TOKEN": "RUNNER_TOKEN",
    "ACTIONS_RUNNER_INPUT_PAT": "GITHUB_PERSONAL_TOKEN",
}


def parse(given: Given, problems: Sequence[str] = (), found: Translation | None = None) -> Settings:
    """Turn the values that were given into Settings, or raise a Failure with every problem.

    `problems` are those that were found before. `found` is the translation of other projects'
    variables. An empty value means the default, because a compose file sets unset variables so.
    """
    found = found or Translation()
    problems, parsed = list(problems), {}
    for variable, about in variables().items():
        value = unquoted(given.settings.get(variable, "")) or about["default"]
        try:
            parsed[about["field"]] = _parsed(variable, value, about["parse"])
        except Problem as problem:
            problems.append(f"{variable}: {problem}")
            parsed[about["field"]] = about["parse"](about["default"])
    owner, _, parsed["repository"] = parsed["repository"].rpartition("/")
    if owner and owner.lower() != (parsed["owner"] or owner).lower():
        problems.append("GITHUB_REPOSITORY: names another owner than GITHUB_OWNER")
    settings = Settings(**{**parsed, "owner": parsed["owner"] or owner})
    if encoded := given.secrets.get("RUNNER_JITCONFIG"):
        problems += _beside_jit_configuration(given)
        if problems:
            raise wrong(problems)
        return _of_jit_configuration(settings, encoded)
    told = contradictions(settings, given, knows_scope=not found.scope_is_wrong)
    problems += _news(told, problems)
    problems += _meant_otherwise(settings, given, problems)
    problems += migration.too_wide(found, settings.target.scope)
    if problems:
        raise wrong([found.annotated(problem) for problem in problems])
    return settings


def _of_jit_configuration(settings: Settings, encoded: str) -> Settings:
    """Return the settings of a runner that somebody else has registered."""
    from entrypoint.settings import jit_configuration  # only here: most runners are given a token

    known = jit_configuration.read(encoded)
    found = settings._replace(
        registration="given",
        url=known.url,
        name=known.name,
        workdir=known.work_folder,
        ephemeral=known.ephemeral,
    )
    if problems := [*_encryption(found, "RUNNER_JITCONFIG")]:
        raise wrong(problems)
    return found


def _beside_jit_configuration(given: Given) -> Iterator[str]:
    """Yield a problem for each variable that could contradict the JIT configuration."""
    about = variables()
    for variable in _IN_JIT_CONFIGURATION:
        value = unquoted(given.settings.get(variable, ""))
        if value and value != about[variable]["default"]:
            yield f"{variable}: is given together with RUNNER_JITCONFIG, which says it all"
    others = [name for name in credential.VARIABLES[:-1] if given.secrets.get(name)]
    yield from (
        f"{variable}: is given together with RUNNER_JITCONFIG; give one credential"
        for variable in others
    )


def _parsed(variable: str, value: str, parse: parsers.Parser) -> Any:
    """Parse a value. Raises a Problem first for tokens and passwords, which no setting may hold."""
    if redaction.is_token(value):
        raise Problem("looks like a token or a key, and what this is for would be shown to all")
    if redaction.has_password(value) and variable not in _WITH_PASSWORD:
        raise Problem("holds a user's name or password before an @, which is no place for one")
    if value == PLACEHOLDERS.get(variable):
        raise Problem("is still the placeholder of .env-example")
    return parse(value)


def _meant_otherwise(settings: Settings, given: Given, problems: Sequence[str]) -> Iterator[str]:
    """Yield the unknown names that may be a missing setting, or may be meant to limit the scope."""
    for guess in misspelt.guesses(given.settings):
        if any(problem.startswith(f"{guess.meant}: ") for problem in problems):
            yield guess.question
        elif guess.narrows and not _is_narrow(settings, guess.meant):
            yield f"{guess.question} Without that the runner would serve more than this name says"


def _is_narrow(settings: Settings, variable: str) -> bool:
    scope = settings.target.scope
    if variable == "GITHUB_OWNER":
        return scope is not Scope.ENTERPRISE
    return scope is Scope.REPOSITORY or (variable == "RUNNER_GROUP" and bool(settings.group))


def _news(found: Sequence[str], problems: Sequence[str]) -> list[str]:
    """Return the problems that are about none of the variables that are known to be wrong."""
    told = set(_VARIABLE.findall(" ".join(problems)))
    return [problem for problem in found if not told & set(_VARIABLE.findall(problem))]


def wrong(problems: list[str]) -> Failure:
    """Make one Failure that reports all problems of the settings."""
    message = "the settings are wrong: " + "; ".join(problems)
    return Failure(ExitCode.CONFIG, message, problems=tuple(problems))


def contradictions(settings: Settings, given: Given, *, knows_scope: bool = True) -> list[str]:
    """Return what is wrong with the combination of settings that are each valid."""
    return [
        *(_scope(settings, given.settings) if knows_scope else ()),
        *_encryption(settings),
        *_credential(settings, given.secrets),
        *_inputs(given.settings),
        *_registration(settings),
        *_stop_file(settings, given.secrets),
    ]


def _scope(settings: Settings, given: Mapping[str, str]) -> Iterator[str]:
    """Check that the list of runners is named, and named once: by URL, owner or enterprise."""
    apart = ("GITHUB_OWNER", "GITHUB_REPOSITORY", "GITHUB_ENTERPRISE", "GITHUB_HOST")
    if settings.url:
        yield from (
            f"{variable}: is given together with GITHUB_URL, which says it all"
            for variable in apart
            if unquoted(given.get(variable, "")) and not _repeats(settings, variable)
        )
    elif settings.enterprise and (settings.owner or settings.repository):
        yield (
            "GITHUB_ENTERPRISE: is given together with GITHUB_OWNER or GITHUB_REPOSITORY; a"
            " runner belongs to one of them"
        )
    elif settings.repository and not settings.owner:
        yield "GITHUB_OWNER: is missing; it names the owner of GITHUB_REPOSITORY"
    elif not (settings.enterprise or settings.owner):
        yield (
            "GITHUB_OWNER: is missing; it names the user or organization (or give GITHUB_URL or"
            " GITHUB_ENTERPRISE)"
        )


def _repeats(settings: Settings, variable: str) -> bool:
    """Return whether a variable that is set beside GITHUB_URL says the same as the URL."""
    target = settings.target
    name = target.name.lower()  # GitHub's names know no case
    same = {
        "GITHUB_OWNER": target.scope is not Scope.ENTERPRISE
        and settings.owner.lower() == name.partition("/")[0],
        "GITHUB_REPOSITORY": settings.repository.lower() == name.partition("/")[2],
        "GITHUB_ENTERPRISE": target.scope is Scope.ENTERPRISE
        and settings.enterprise.lower() == name,
        "GITHUB_HOST": settings.host == target.host,
    }
    return same[variable]


def _encryption(settings: Settings, url: str = "GITHUB_URL") -> Iterator[str]:
    """Refuse to send a credential unencrypted, unless to this host or if the operator allows it.

    `url` is the variable that the address of GitHub came in.
    """
    for variable, address in (
        (url, settings.target.server),
        ("GITHUB_API_URL", settings.api_url),
    ):
        scheme, _, rest = address.partition("://")
        host = rest.partition("/")[0]
        if scheme != "http" or _LOOPBACK.fullmatch(host):
            continue
        if is_hosted(host.removeprefix("api.")):
            yield f"{variable}: the credential would be sent unencrypted; {host} takes https://"
        elif not settings.allow_http:
            yield (
                f"{variable}: the credential would be sent unencrypted; take https://, or for an"
                " Enterprise Server that has none set GITHUB_ALLOW_HTTP=1"
            )


def _credential(settings: Settings, secrets: Mapping[str, str]) -> Iterator[str]:
    """Check that there is exactly one credential, and that an App has its id and its key."""
    found = [variable for variable in credential.VARIABLES if secrets.get(variable)]
    if len(found) > 1:
        yield f"{found[0]}: is given together with {' and '.join(found[1:])}; give one credential"
    key = secrets.get("GITHUB_APP_PRIVATE_KEY")
    if key and not settings.app_id:
        yield "GITHUB_APP_ID: is missing; GITHUB_APP_PRIVATE_KEY is the key of that App"
    if not key and (settings.app_id or settings.app_installation_id):
        yield "GITHUB_APP_PRIVATE_KEY: is missing (or GITHUB_APP_PRIVATE_KEY_FILE)"
    elif not found:
        yield (
            "GITHUB_PERSONAL_TOKEN: no credential is given (nor GITHUB_PERSONAL_TOKEN_FILE,"
            " GITHUB_APP_PRIVATE_KEY, RUNNER_TOKEN)"
        )
    if key:
        try:
            parsers.private_key(key)
        except parsers.Problem as problem:
            yield f"GITHUB_APP_PRIVATE_KEY: {problem}"
    if secrets.get("RUNNER_TOKEN") and settings.registration == "jit":
        yield "RUNNER_REGISTRATION: jit needs a personal access token or an App, not RUNNER_TOKEN"


def _inputs(given: Mapping[str, str]) -> Iterator[str]:
    yield from (
        f"{variable}: every job could read it; give {instead} in its place"
        for variable, instead in _INPUTS.items()
        if given.get(variable)
    )


def _registration(settings: Settings) -> Iterator[str]:
    """Check for combinations that config.sh or a JIT configuration cannot do."""
    if settings.no_default_labels and not settings.labels:
        yield "RUNNER_NO_DEFAULT_LABELS: needs RUNNER_LABELS, a runner must have a label"
    if settings.registration == "jit" and not settings.ephemeral:
        yield "RUNNER_REGISTRATION: jit is for ephemeral runners; RUNNER_EPHEMERAL=0 needs config"
    if settings.keep_credential == "until-job" and not settings.ephemeral:
        yield "RUNNER_CREDENTIAL: until-job is for ephemeral runners, which do a single job"
    if settings.registration == "jit" and len(settings.labels) > MAX_LABELS - _DEFAULT_LABELS:
        yield f"RUNNER_LABELS: jit takes {MAX_LABELS} labels at most, the default ones included"
    in_repository = settings.target.scope is Scope.REPOSITORY
    if in_repository and settings.group.lower() not in {"", "default"}:
        yield "RUNNER_GROUP: a repository has no runner groups, only organization and enterprise do"


def _stop_file(settings: Settings, secrets: Mapping[str, str]) -> Iterator[str]:
    """Check that a stop file has a secret; without one, a job that can write there stops us."""
    secret = secrets.get(STOP_SECRET, "")
    if settings.stop_file and not secret:
        yield f"{STOP_SECRET}: is missing; it is what RUNNER_STOP_FILE must hold"
    elif secret and not settings.stop_file:
        yield f"RUNNER_STOP_FILE: is missing; {STOP_SECRET} is what that file must hold"
    elif secret and len(secret) < MIN_STOP_SECRET:
        yield f"{STOP_SECRET}: has fewer than {MIN_STOP_SECRET} characters, which could be guessed"
