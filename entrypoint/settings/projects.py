"""The variables of other projects, and ours that mean the same.

docs/migrating.md is generated from `PROJECTS`. A project is recognised by variables that no other
program would set. Only then do common words such as LABELS or GITHUB_TOKEN count as the project's.
The defaults of other projects are not taken over where they would weaken ours: a runner is
ephemeral, and jobs do not run as root.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from entrypoint.redaction import shown
from entrypoint.settings import parsers
from entrypoint.settings.parsers import Problem, unquoted
from entrypoint.settings.target import Scope

Values = Mapping[str, str]
_REPO, _ORG = Scope.REPOSITORY, Scope.ORGANIZATION


class Row(NamedTuple):
    """One of their variables, and how its value is translated.

    `ours` is the variable that means the same here; it is empty if there is none.
    """

    theirs: str
    ours: str
    how: str = ""
    take: Callable[[str], str] = str
    unless: str = ""  # the variable that overrides this one, in that project as well
    silent: bool = False  # if `ours` is empty: nothing is lost, so the log says nothing about it


class Claim(NamedTuple):
    """What several of their variables mean together.

    That is a value for one of our variables, and the widest scope that the runner may have.
    """

    theirs: str
    ours: str
    value: str
    scope: Scope | None = None


class Project(NamedTuple):
    """Another project's variables."""

    name: str
    signs: tuple[str, ...]
    rows: tuple[Row, ...]
    claims: Callable[[Values], Iterator[Claim]]
    scope_names: tuple[Row, ...]  # the variables that `claims` reads, as the documents list them
    better: tuple[str, ...]
    different: tuple[str, ...]
    labels: Callable[[Values], list[str]] = lambda _: []  # labels that the project itself adds
    group_beside: str = ""  # the project ignores RUNNER_GROUP where this variable is set


# How values are translated


def any_word(value: str) -> str:
    """In that project any word means yes, even `false` or `no`."""
    parsers.flag(value)
    return "1"


def _flag(value: str) -> str:
    return "1" if parsers.flag(value) else "0"


def _not(value: str) -> str:
    return "0" if parsers.flag(value) else "1"


def _if_true(word: str) -> Callable[[str], str]:
    return lambda value: word if parsers.flag(value) else ""


def _bare_host(value: str) -> str:
    return value.removeprefix("http://").removeprefix("https://").rstrip("/")


def _verbosity(value: str) -> str:
    return ("", "info", "debug")[min(parsers.count(value), 2)]


def _no_registration(value: str) -> str:
    if parsers.flag(value):
        raise Problem("asks for no registration at all; `gh-runner check` tries all without one")
    return ""


def _option(name: str) -> Callable[[str], str]:
    return lambda value: f"{name}={value}"


def _folder_below(value: str) -> str:
    return os.path.join(value, os.uname().nodename)


# How their variables together name the repository, organization or enterprise


def _myoung34(given: Values) -> Iterator[Claim]:
    page, org = given.get("REPO_URL", ""), given.get("ORG_NAME", "")
    if page and org and org.lower() not in page.lower().split("/"):
        raise Problem("REPO_URL and ORG_NAME: name different owners; leave one of them out")
    scope = _myoung34_scope(given)
    if page:
        yield Claim("REPO_URL", "GITHUB_URL" if scope in ("", "rep") else "", page, _REPO)
    elif scope == "rep":
        yield Claim("RUNNER_SCOPE", "", scope, _REPO)
    if scope == "org":
        yield Claim("ORG_NAME", "GITHUB_OWNER", org, _ORG)
    elif scope == "ent":
        if org:
            yield Claim("ORG_NAME", "", org, _ORG)
        name = given.get("ENTERPRISE_NAME", "")
        yield Claim("ENTERPRISE_NAME", "GITHUB_ENTERPRISE", name, Scope.ENTERPRISE)
    yield from _myoung34_api(given)


def _myoung34_scope(given: Values) -> str:
    """Return rep, org, ent or ""; in that project any other word means a repository."""
    scope = given.get("RUNNER_SCOPE", "").lower()[:3]
    if scope:
        return scope if scope in ("org", "ent") else "rep"
    if given.get("ORG_RUNNER", "").lower() == "true":
        return "org"
    if given.get("REPO_URL"):
        return ""
    return "org" if given.get("ORG_NAME") else "ent" if given.get("ENTERPRISE_NAME") else ""


def _myoung34_api(given: Values) -> Iterator[Claim]:
    host, path = given.get("GITHUB_API_HOST", ""), given.get("GITHUB_API_PATH", "")
    if host or path:
        server = _bare_host(given.get("GITHUB_HOST", "")) or "github.com"
        default = "" if server == "github.com" and not host else "/api/v3"
        host = _bare_host(host) or ("api.github.com" if server == "github.com" else server)
        path = f"/{path.strip('/')}" if path else default
        theirs = "GITHUB_API_HOST" if given.get("GITHUB_API_HOST") else "GITHUB_API_PATH"
        yield Claim(theirs, "GITHUB_API_URL", f"https://{host}{path}".rstrip("/"))


def _cwpearson(given: Values) -> Iterator[Claim]:
    for name, scope in (("RUNNER_REPOSITORY_URL", _REPO), ("RUNNER_ORGANIZATION_URL", _ORG)):
        if given.get(name):
            yield Claim(name, "GITHUB_URL", given[name], scope)


def _major0(given: Values) -> Iterator[Claim]:
    context = given.get("RUNNER_CONTEXT", "")
    if context:
        yield _owner_or_repository("RUNNER_CONTEXT", context)


def _owner_or_repository(theirs: str, value: str) -> Claim:
    if "/" in value.rstrip("/"):
        return Claim(theirs, "GITHUB_REPOSITORY", value, _REPO)
    return Claim(theirs, "GITHUB_OWNER", value, _ORG)


def _efrecon(given: Values) -> Iterator[Claim]:
    principal, scope = given.get("RUNNER_PRINCIPAL", ""), given.get("RUNNER_SCOPE", "").lower()
    if not principal:
        yield from _efrecon_without_principal(given, scope)
        return
    match scope[:3] or "rep", "/" in principal:
        case "rep", True:
            yield Claim("RUNNER_PRINCIPAL", "GITHUB_REPOSITORY", principal, _REPO)
        case "rep", False:
            raise Problem(
                f"RUNNER_PRINCIPAL: {shown(principal)} names no repository, as OWNER/REPOSITORY"
                " does; RUNNER_SCOPE=org is an organization"
            )
        case "org", False:
            yield Claim("RUNNER_PRINCIPAL", "GITHUB_OWNER", principal, _ORG)
        case "org", True:
            raise Problem("RUNNER_SCOPE: says org, and RUNNER_PRINCIPAL names a repository")
        case "ent", _:
            yield Claim("RUNNER_PRINCIPAL", "GITHUB_ENTERPRISE", principal, Scope.ENTERPRISE)
        case _:
            raise Problem(f"RUNNER_SCOPE: {shown(scope)} is not one of repo, org, enterprise")


def _efrecon_without_principal(given: Values, scope: str) -> Iterator[Claim]:
    """Let our own variables name the list of runners, but not a wider one than RUNNER_SCOPE."""
    if not any(given.get(name) for name in ("GITHUB_OWNER", "GITHUB_URL", "GITHUB_ENTERPRISE")):
        raise Problem("RUNNER_PRINCIPAL: is missing; it names whose runner it is")
    if scope.startswith("rep"):
        yield Claim("RUNNER_SCOPE", "", scope, _REPO)


def _arc(given: Values) -> Iterator[Claim]:
    org, repo = given.get("RUNNER_ORG", ""), given.get("RUNNER_REPO", "")
    enterprise = given.get("RUNNER_ENTERPRISE", "")
    base = given.get("GITHUB_URL", "https://github.com").rstrip("/")
    is_base = "/" not in base.partition("://")[2]
    if repo:
        owner, _, name = repo.rpartition("/")
        if org and owner and owner.lower() != org.lower():
            raise Problem("RUNNER_ORG and RUNNER_REPO: name different owners")
        if not (org or owner):
            raise Problem("RUNNER_REPO: names no owner, as OWNER/REPOSITORY does")
        theirs, path, scope = "RUNNER_REPO", f"{org or owner}/{name}", _REPO
    elif org:
        theirs, path, scope = "RUNNER_ORG", org, _ORG
    elif enterprise:
        theirs, path, scope = "RUNNER_ENTERPRISE", f"enterprises/{enterprise}", Scope.ENTERPRISE
    else:
        return
    yield Claim(theirs, "GITHUB_URL", f"{base}/{path}" if is_base else base, scope)


def _config_sh(given: Values) -> Iterator[Claim]:
    if given.get("ACTIONS_RUNNER_INPUT_URL"):
        yield Claim("ACTIONS_RUNNER_INPUT_URL", "GITHUB_URL", given["ACTIONS_RUNNER_INPUT_URL"])


def _system() -> str:
    """Return this system's id in /etc/os-release, such as ubuntu; "" if there is none."""
    try:
        with open("/etc/os-release", encoding="utf-8", errors="replace") as file:
            lines = dict(line.strip().partition("=")[::2] for line in file)
    except OSError:
        return ""
    return unquoted(lines.get("ID", ""))


def _efrecon_labels(given: Values) -> list[str]:
    if given.get("RUNNER_LABELS"):
        return []
    usual = given.get("RUNNER_DEFAULT_LABELS") or "krun,krunvm"
    return [*usual.strip(",").split(","), *filter(None, [given.get("RUNNER_DISTRO") or _system()])]


def _major0_labels(given: Values) -> list[str]:
    return ["ephemeral", *filter(None, [given.get("RUNNER_NAME")])]


def _myoung34_labels(given: Values) -> list[str]:
    return [] if given.get("LABELS") or given.get("RUNNER_LABELS") else ["default"]


# The table

_SAME_NAME = Row("RUNNER_NAME", "RUNNER_NAME", "a random suffix is added")
_SAME_LABELS = Row("RUNNER_LABELS", "RUNNER_LABELS")
_SAME_GROUP = Row("RUNNER_GROUP", "RUNNER_GROUP")
_SAME_TOKEN = Row("RUNNER_TOKEN", "RUNNER_TOKEN")
_SAME_WORKDIR = Row("RUNNER_WORKDIR", "RUNNER_WORKDIR")

_MYOUNG34_ROWS = (
    _SAME_NAME,
    Row("RUNNER_NAME_PREFIX", "RUNNER_NAME", "where RUNNER_NAME is empty", unless="RUNNER_NAME"),
    Row("RANDOM_RUNNER_SUFFIX", "", "names always get a random suffix", silent=True),
    Row("ACCESS_TOKEN", "GITHUB_PERSONAL_TOKEN"),
    Row("APP_ID", "GITHUB_APP_ID"),
    Row("APP_PRIVATE_KEY", "GITHUB_APP_PRIVATE_KEY"),
    Row("APP_LOGIN", "", "the installation is found by the runner's owner", silent=True),
    _SAME_TOKEN,
    Row("LABELS", "RUNNER_LABELS", "without any, the label `default` is added"),
    _SAME_LABELS,
    _SAME_GROUP,
    _SAME_WORKDIR,
    Row(
        "RUNNER_WORKDIR_ROOT",
        "RUNNER_WORKDIR",
        "a folder below it, named after the container",
        _folder_below,
        unless="RUNNER_WORKDIR",
    ),
    Row("GITHUB_HOST", "GITHUB_HOST", "https:// and a slash are cut", _bare_host),
    Row("EPHEMERAL", "RUNNER_EPHEMERAL", "any word is a yes there, false as well", any_word),
    Row("DISABLE_AUTO_UPDATE", "RUNNER_DISABLE_UPDATE", "any word is a yes there", any_word),
    Row("NO_DEFAULT_LABELS", "RUNNER_NO_DEFAULT_LABELS", "any word is a yes there", any_word),
    Row("START_DOCKER_SERVICE", "RUNNER_ENGINE", "true: docker", _if_true("docker")),
    Row("DEBUG_OUTPUT", "RUNNER_LOG_LEVEL", "true: debug", _if_true("debug")),
    Row("DEBUG_ONLY", "", "refused; `gh-runner check` tries all", _no_registration, silent=True),
    Row("UNSET_CONFIG_VARS", "", "settings never reach a job", silent=True),
    Row(
        "RUN_AS_ROOT",
        "",
        "jobs run as RUNNER_USER; as root only with RUNNER_USER=root and RUNNER_ALLOW_RUNASROOT=1",
        _if_true("1"),
    ),
    Row(
        "DISABLE_AUTOMATIC_DEREGISTRATION",
        "",
        "the runner is always taken off the list; a given JIT configuration leaves it to its maker",
        lambda value: "" if value.lower() == "false" else "1",
    ),
    Row("CONFIGURED_ACTIONS_RUNNER_FILES_DIR", "", "every start registers a new runner"),
)
_MYOUNG34_SCOPE = (
    Row("REPO_URL", "GITHUB_URL"),
    Row("ORG_NAME", "GITHUB_OWNER"),
    Row("ENTERPRISE_NAME", "GITHUB_ENTERPRISE"),
    Row("RUNNER_SCOPE", "", "repo, org or ent; it has to agree with the names"),
    Row("ORG_RUNNER", "", "true: RUNNER_SCOPE=org"),
    Row("GITHUB_API_HOST", "GITHUB_API_URL", "together with GITHUB_API_PATH"),
    Row("GITHUB_API_PATH", "GITHUB_API_URL", "together with GITHUB_API_HOST"),
)
_MYOUNG34_SIGNS = ("REPO_URL", "ORG_NAME", "ENTERPRISE_NAME", "ORG_RUNNER")
_HOST_SIDE = "it belongs to the launcher outside; see deploy/"

PROJECTS = (
    Project(
        name="PasseiDireto/gh-runner",
        signs=(),
        claims=lambda _: iter(()),
        scope_names=(
            Row("GITHUB_OWNER", "GITHUB_OWNER"),
            Row("GITHUB_REPOSITORY", "GITHUB_REPOSITORY", "empty: the whole organization"),
        ),
        rows=(_SAME_NAME, Row("GITHUB_PERSONAL_TOKEN", "GITHUB_PERSONAL_TOKEN"), _SAME_LABELS),
        better=(
            "A job does not find the token in its environment.",
            "A stop during the registration, or in a job, leaves no runner behind.",
        ),
        different=(
            "Docker is started with `RUNNER_ENGINE=docker`, or `auto`, not always.",
            "Words after the image's name are a command of their own, not options of `run.sh`.",
        ),
    ),
    Project(
        name="cwpearson/github-runner-docker",
        signs=("RUNNER_REPOSITORY_URL", "RUNNER_ORGANIZATION_URL", "GITHUB_ACCESS_TOKEN"),
        claims=_cwpearson,
        scope_names=(
            Row("RUNNER_REPOSITORY_URL", "GITHUB_URL"),
            Row("RUNNER_ORGANIZATION_URL", "GITHUB_URL", "both at once are refused"),
        ),
        rows=(Row("GITHUB_ACCESS_TOKEN", "GITHUB_PERSONAL_TOKEN"), _SAME_TOKEN),
        better=(
            "A token is made anew at the exit, so that a stop after an hour leaves no runner.",
            "Jobs run as an ordinary user.",
        ),
        different=(
            "The container ends after one job: `--restart` or a systemd unit starts the next one.",
            "Without RUNNER_NAME the runner has the container's host name and a suffix.",
        ),
    ),
    Project(
        name="major0/gh-ecs-runner",
        signs=("RUNNER_CONTEXT",),
        claims=_major0,
        scope_names=(
            Row("RUNNER_CONTEXT", "GITHUB_OWNER", "OWNER, or OWNER/REPOSITORY: GITHUB_REPOSITORY"),
        ),
        rows=(
            Row("GITHUB_TOKEN", "GITHUB_PERSONAL_TOKEN"),
            _SAME_NAME,
            Row("RUNNER_LABELS", "RUNNER_LABELS", "`ephemeral` and the name are added"),
            _SAME_WORKDIR,
            Row("DEBUG", "RUNNER_LOG_LEVEL", "true: debug", _if_true("debug")),
        ),
        labels=_major0_labels,
        better=(
            "The runner is in the image: nothing is downloaded at a start.",
            "A stop is noticed at once, and leaves no runner behind.",
        ),
        different=("The runner's suffix has eight digits, after a hyphen.",),
    ),
    Project(
        name="efrecon/gh-runner-krunvm",
        signs=("RUNNER_PRINCIPAL", "RUNNER_PAT", "RUNNER_GITHUB"),
        claims=_efrecon,
        scope_names=(
            Row("RUNNER_PRINCIPAL", "GITHUB_REPOSITORY", "or GITHUB_OWNER, GITHUB_ENTERPRISE"),
            Row("RUNNER_SCOPE", "", "repo, org or enterprise: what RUNNER_PRINCIPAL is"),
        ),
        rows=(
            Row("RUNNER_PAT", "GITHUB_PERSONAL_TOKEN"),
            _SAME_TOKEN,
            Row("RUNNER_GITHUB", "GITHUB_HOST", "https:// and a slash are cut", _bare_host),
            _SAME_NAME,
            Row("RUNNER_PREFIX", "RUNNER_NAME", "where RUNNER_NAME is empty", unless="RUNNER_NAME"),
            Row("RUNNER_LABELS", "RUNNER_LABELS", "without any: `krun`, `krunvm` and the system"),
            Row("RUNNER_DEFAULT_LABELS", "", "instead of `krun` and `krunvm`", silent=True),
            Row("RUNNER_DISTRO", "", "instead of the system's name", silent=True),
            _SAME_GROUP,
            Row("RUNNER_USER", "RUNNER_USER"),
            Row("RUNNER_EPHEMERAL", "RUNNER_EPHEMERAL"),
            Row("RUNNER_UPDATE", "RUNNER_DISABLE_UPDATE", "the opposite", _not),
            Row("RUNNER_ENVFILE", "RUNNER_ENVFILE"),
            _SAME_WORKDIR,
            Row("RUNNER_DOCKER", "RUNNER_ENGINE", "1: podman", _if_true("podman")),
            Row("RUNNER_VERBOSE", "RUNNER_LOG_LEVEL", "2 and more: debug", _verbosity),
            Row("RUNNER_ID", "", "names always get a random suffix", silent=True),
            Row("RUNNER_LOG", "", "the log is on stdout", silent=True),
            Row("RUNNER_LOGDIR", "", "the log is on stdout", silent=True),
            Row("RUNNER_INSTALL", "", "RUNNER_HOME is where the image has the runner"),
            Row("RUNNER_TOKENFILE", "", "no token is written to a file; `gh-runner status` tells"),
            Row("RUNNER_SECRET", "", "RUNNER_STOP_FILE and RUNNER_STOP_SECRET stop by a file"),
            Row("RUNNER_TERMINATE", "", f"RUNNER_IDLE_TIMEOUT ends an idle one; {_HOST_SIDE}"),
            *(
                Row(f"RUNNER_{name}", "", _HOST_SIDE, silent=True)
                for name in (
                    *("CPUS", "MEMORY", "DNS", "MOUNT", "DIR", "IMAGE", "ENVIRONMENT"),
                    *("REPEAT", "RUNTIME", "ROOTDIR", "CONTAINERS_CONFDIR", "CONTAINERS_CONF"),
                    *("ENTRYPOINT", "VM_ENVDIR"),
                )
            ),
        ),
        labels=_efrecon_labels,
        better=(
            "No token is written into a file that jobs can read.",
            "A stop by a file works in each phase, and is answered by the exit code.",
        ),
        different=("One container, or virtual machine, is one runner; deploy/ starts the next.",),
    ),
    Project(
        name="SocialGouv/actions-runner",
        signs=(),  # that image is built from the next project's, and has the same variables
        claims=_myoung34,
        scope_names=tuple(row for row in _MYOUNG34_SCOPE if "API" not in row.theirs),
        rows=tuple(
            row
            for row in _MYOUNG34_ROWS
            if row.theirs
            in ("RUNNER_NAME", "ACCESS_TOKEN", "RUNNER_WORKDIR", "DISABLE_AUTO_UPDATE", "EPHEMERAL")
        ),
        better=(
            "The token needs no service that decrypts it: GITHUB_PERSONAL_TOKEN_FILE takes a file.",
        ),
        different=("The image has no script of that name: leave `/ephemeral-runner.sh` out.",),
    ),
    Project(
        name="myoung34/docker-github-actions-runner",
        signs=_MYOUNG34_SIGNS,
        claims=_myoung34,
        scope_names=_MYOUNG34_SCOPE,
        rows=_MYOUNG34_ROWS,
        labels=_myoung34_labels,
        better=(
            "Every runner is ephemeral, unless `RUNNER_EPHEMERAL=0` is set.",
            "Jobs do not run as root, and find no credential.",
            "The exit code says what happened; after a stop it is not 1.",
            "Each secret can come in a file, named by its variable with `_FILE` at its end.",
        ),
        different=(
            "A runner is never kept over a restart: each start registers a new one.",
            "RUNNER_SCOPE=org beside REPO_URL is refused, since one says more than the other.",
            "The work folder is below the runner's directory unless one is named.",
        ),
    ),
    Project(
        name="actions-runner-controller (its older image)",
        signs=("RUNNER_ORG", "RUNNER_REPO", "RUNNER_ENTERPRISE", "DOCKERD_IN_RUNNER"),
        claims=_arc,
        group_beside="RUNNER_REPO",
        scope_names=(
            Row("RUNNER_REPO", "GITHUB_URL", "OWNER/REPOSITORY, or beside RUNNER_ORG"),
            Row("RUNNER_ORG", "GITHUB_URL"),
            Row("RUNNER_ENTERPRISE", "GITHUB_URL"),
            Row("GITHUB_URL", "GITHUB_URL", "only GitHub's address there; the names are added"),
        ),
        rows=(
            _SAME_TOKEN,
            _SAME_NAME,
            _SAME_LABELS,
            Row("RUNNER_GROUP", "RUNNER_GROUP", "beside RUNNER_REPO it is passed over"),
            Row("RUNNER_EPHEMERAL", "RUNNER_EPHEMERAL"),
            _SAME_WORKDIR,
            Row("DISABLE_RUNNER_UPDATE", "RUNNER_DISABLE_UPDATE", "", _flag),
            Row("DOCKERD_IN_RUNNER", "RUNNER_ENGINE", "true: docker", _if_true("docker")),
            Row("MTU", "RUNNER_ENGINE_OPTIONS", "--mtu", _option("--mtu")),
            Row(
                "DOCKER_REGISTRY_MIRROR",
                "RUNNER_ENGINE_OPTIONS",
                "--registry-mirror",
                _option("--registry-mirror"),
            ),
            Row(
                "DOCKER_INSECURE_REGISTRY",
                "RUNNER_ENGINE_OPTIONS",
                "--insecure-registry",
                _option("--insecure-registry"),
            ),
            Row(
                "RUNNER_GRACEFUL_STOP_TIMEOUT",
                "RUNNER_DRAIN_TIMEOUT",
                "seconds that a job may go on after a stop",
            ),
            Row("DOCKER_ENABLED", "", "DOCKER_HOST says where an engine is", silent=True),
            Row("WAIT_FOR_DOCKER_SECONDS", "", "RUNNER_WAIT_FOR_DOCKER_IN_SECONDS is GitHub's own"),
            Row("DISABLE_WAIT_FOR_DOCKER", "", "RUNNER_ENGINE=none waits for no engine"),
            Row("DOCKER_DEFAULT_ADDRESS_POOL_BASE", "", "RUNNER_ENGINE_OPTIONS takes dockerd's"),
            Row("DOCKER_DEFAULT_ADDRESS_POOL_SIZE", "", "RUNNER_ENGINE_OPTIONS takes dockerd's"),
            Row("STARTUP_DELAY_IN_SECONDS", "", "a start waits for nothing"),
            Row("RUNNER_FEATURE_FLAG_ONCE", "", "runners are ephemeral", silent=True),
            Row("RUNNER_STATUS_UPDATE_HOOK", "", "`gh-runner status` tells", silent=True),
            Row("RUNNER_ASSETS_DIR", "", "the runner is in RUNNER_HOME", silent=True),
            *(
                Row(f"LOG_{level}_DISABLED", "", "RUNNER_LOG_LEVEL chooses", silent=True)
                for level in ("DEBUG", "NOTICE", "WARNING", "ERROR", "SUCCESS")
            ),
        ),
        better=(
            "The registration token does not reach a job, nor any `/proc/*/environ`.",
            "A stop takes an idle runner off the list first, so that no job gets lost.",
        ),
        different=(
            "That controller knows a runner by the pod's name; here the name has a suffix.",
            "Its successor, the scale sets, needs none of this: [kubernetes.md](kubernetes.md).",
            "A registration token cannot take a runner off the list after an hour.",
        ),
    ),
    Project(
        name="config.sh of GitHub's runner",
        signs=tuple(
            f"ACTIONS_RUNNER_INPUT_{name}"
            for name in ("URL", "NAME", "LABELS", "RUNNERGROUP", "WORK")
        ),
        claims=_config_sh,
        scope_names=(Row("ACTIONS_RUNNER_INPUT_URL", "GITHUB_URL"),),
        rows=(
            Row("ACTIONS_RUNNER_INPUT_NAME", "RUNNER_NAME", "a random suffix is added"),
            Row("ACTIONS_RUNNER_INPUT_LABELS", "RUNNER_LABELS"),
            Row("ACTIONS_RUNNER_INPUT_RUNNERGROUP", "RUNNER_GROUP"),
            Row("ACTIONS_RUNNER_INPUT_WORK", "RUNNER_WORKDIR"),
        ),
        better=("They count for a just-in-time registration, too.",),
        different=("A token does not come by ACTIONS_RUNNER_INPUT_TOKEN: every job would see it.",),
    ),
)
