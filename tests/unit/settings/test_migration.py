"""Configurations for other projects start our image, and never serve more than they did there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from entrypoint.errors import ExitCode, Failure
from entrypoint.settings import migration, projects, schema, sources
from entrypoint.settings.given import Given
from entrypoint.settings.projects import PROJECTS, Project
from entrypoint.settings.target import Scope
from entrypoint.vault import BORROWED, SECRETS

TOKEN = "ghp_" + "x9" * 18
OTHER = "ghp_" + "y8" * 18
REGISTRATION = "A" + "B2" * 14
SHOP = {"REPO_URL": "https://github.com/acme/shop"}
MYOUNG34 = {**SHOP, "ACCESS_TOKEN": TOKEN}


def read(env: dict[str, str]) -> sources.Values:
    """Return the values that an environment gives."""
    return sources.read(Given.divide(env))


def refused(env: dict[str, str]) -> str:
    """Return the one message by which an environment is refused."""
    with pytest.raises(Failure) as failure:
        read(env)
    assert failure.value.code is ExitCode.CONFIG
    return failure.value.message


TAKEN: list[tuple[dict[str, str], dict[str, object]]] = [
    (MYOUNG34, {"web_url": "https://github.com/acme/shop", "labels": ("default",)}),
    ({**MYOUNG34, "LABELS": "a,b"}, {"labels": ("a", "b")}),
    ({**MYOUNG34, "RUNNER_NAME_PREFIX": "p"}, {"name": "p"}),
    ({**MYOUNG34, "RUNNER_NAME_PREFIX": "p", "RUNNER_NAME": "n"}, {"name": "n"}),
    ({**MYOUNG34, "EPHEMERAL": "false"}, {"ephemeral": True}),
    ({**MYOUNG34, "NO_DEFAULT_LABELS": "1", "LABELS": "a"}, {"no_default_labels": True}),
    ({**MYOUNG34, "START_DOCKER_SERVICE": "true"}, {"engine": "docker"}),
    ({**MYOUNG34, "START_DOCKER_SERVICE": "false"}, {"engine": "none"}),
    ({**MYOUNG34, "DEBUG_OUTPUT": "true"}, {"log_level": "debug"}),
    ({**MYOUNG34, "RUN_AS_ROOT": "true"}, {"user": "runner"}),
    ({**MYOUNG34, "ORG_NAME": "acme"}, {"web_url": "https://github.com/acme/shop"}),
    (
        {"RUNNER_SCOPE": "org", "ORG_NAME": "acme", "ACCESS_TOKEN": TOKEN},
        {"web_url": "https://github.com/acme"},
    ),
    (
        {"ORG_RUNNER": "true", "ORG_NAME": "acme", "ACCESS_TOKEN": TOKEN},
        {"web_url": "https://github.com/acme"},
    ),
    (
        {"RUNNER_SCOPE": "ent", "ENTERPRISE_NAME": "acme", "ACCESS_TOKEN": TOKEN},
        {"web_url": "https://github.com/enterprises/acme"},
    ),
    (
        {
            "RUNNER_SCOPE": "org",
            "ORG_NAME": "acme",
            "ACCESS_TOKEN": TOKEN,
            "GITHUB_HOST": "https://acme.ghe.com/",
            "GITHUB_API_HOST": "api.acme.ghe.com",
            "GITHUB_API_PATH": "/",
        },
        {"web_url": "https://acme.ghe.com/acme", "api_url": "https://api.acme.ghe.com"},
    ),
    (
        {"RUNNER_ORGANIZATION_URL": "https://github.com/acme", "GITHUB_ACCESS_TOKEN": TOKEN},
        {"web_url": "https://github.com/acme", "labels": ()},
    ),
    (
        {"RUNNER_CONTEXT": "acme", "GITHUB_TOKEN": TOKEN, "RUNNER_NAME": "ecs"},
        {"web_url": "https://github.com/acme", "labels": ("ephemeral", "ecs")},
    ),
    (
        {"RUNNER_PRINCIPAL": "acme/shop", "RUNNER_PAT": TOKEN, "RUNNER_DEFAULT_LABELS": "vm"},
        {"web_url": "https://github.com/acme/shop"},
    ),
    (
        {
            "RUNNER_PRINCIPAL": "acme",
            "RUNNER_SCOPE": "Enterprise",
            "RUNNER_PAT": TOKEN,
            "RUNNER_LABELS": "x",
            "RUNNER_GITHUB": "ghe.example.com/",
            "RUNNER_UPDATE": "1",
            "RUNNER_DOCKER": "1",
            "RUNNER_VERBOSE": "3",
        },
        {
            "web_url": "https://ghe.example.com/enterprises/acme",
            "labels": ("x",),
            "disable_update": False,
            "engine": "podman",
            "log_level": "debug",
        },
    ),
    (
        {"RUNNER_ORG": "acme", "RUNNER_REPO": "shop", "RUNNER_TOKEN": REGISTRATION},
        {"web_url": "https://github.com/acme/shop"},
    ),
    (
        {
            "RUNNER_ENTERPRISE": "acme",
            "GITHUB_URL": "https://ghe.example.com/",
            "RUNNER_TOKEN": REGISTRATION,
            "DOCKERD_IN_RUNNER": "true",
            "MTU": "1400",
            "DOCKER_REGISTRY_MIRROR": "https://mirror.example.com",
            "RUNNER_GRACEFUL_STOP_TIMEOUT": "90",
        },
        {
            "web_url": "https://ghe.example.com/enterprises/acme",
            "engine": "docker",
            "engine_options": "--mtu=1400 --registry-mirror=https://mirror.example.com",
            "drain_timeout": 90.0,
        },
    ),
    (
        {"RUNNER_REPO": "acme/shop", "RUNNER_GROUP": "x", "RUNNER_TOKEN": REGISTRATION},
        {"group": ""},
    ),
    (
        {**SHOP, "GITHUB_OWNER": "acme", "GITHUB_PERSONAL_TOKEN": TOKEN},
        {"web_url": "https://github.com/acme/shop"},
    ),
    (
        {
            "ACTIONS_RUNNER_INPUT_URL": "https://github.com/acme/shop",
            "ACTIONS_RUNNER_INPUT_LABELS": "a",
            "GITHUB_PERSONAL_TOKEN": TOKEN,
        },
        {"web_url": "https://github.com/acme/shop", "labels": ("a",)},
    ),
]


@pytest.mark.parametrize(("env", "fields"), TAKEN)
def test_taken(env: dict[str, str], fields: dict[str, object]) -> None:
    """Each variable gets the meaning that it has in its project."""
    values = read(env)
    assert {name: getattr(values.settings, name) for name in fields} == fields
    assert values.settings.ephemeral
    assert values.recognised.startswith("configured for ")
    assert not set(values.others) & set(BORROWED)


REFUSED: list[tuple[dict[str, str], tuple[str, ...]]] = [
    ({**MYOUNG34, "EPHEMERAL": "maybe"}, ("EPHEMERAL: 'maybe'", "any word, even false, is a yes")),
    ({**MYOUNG34, "RUNNER_SCOPE": "org", "ORG_NAME": "acme"}, ("REPO_URL: says repository",)),
    ({**MYOUNG34, "RUNNER_SCOPE": "org"}, ("ORG_NAME (here GITHUB_OWNER): is missing",)),
    ({**MYOUNG34, "ORG_NAME": "octo"}, ("REPO_URL and ORG_NAME: name different owners",)),
    ({**MYOUNG34, "GITHUB_OWNER": "octo"}, ("GITHUB_OWNER: is given together with REPO_URL",)),
    (
        {**MYOUNG34, "GITHUB_PERSONAL_TOKEN": OTHER},
        ("GITHUB_PERSONAL_TOKEN and ACCESS_TOKEN",),
    ),
    (
        {**MYOUNG34, "GITHUB_HOST": "ghe.example.com"},
        ("GITHUB_HOST: is given together with",),
    ),
    ({**MYOUNG34, "LABELS": "a", "RUNNER_LABELS": "b"}, ("RUNNER_LABELS and LABELS: say",)),
    ({**MYOUNG34, "DEBUG_ONLY": "true"}, ("DEBUG_ONLY: asks for no registration", "check")),
    ({**MYOUNG34, "REPO_URL": "https://github.com/acme"}, ("REPO_URL: says repository",)),
    ({**MYOUNG34, "APP_ID": "1"}, ("GITHUB_APP_PRIVATE_KEY: is missing",)),
    (
        {"RUNNER_SCOPE": "repo", "GITHUB_OWNER": "acme", "GITHUB_PERSONAL_TOKEN": TOKEN},
        ("RUNNER_SCOPE: says repository, and the runner would serve the whole organization",),
    ),
    (
        {
            "RUNNER_SCOPE": "repo",
            "RUNNER_ORGANIZATION_URL": "https://github.com/acme",
            "GITHUB_ACCESS_TOKEN": TOKEN,
        },
        ("RUNNER_SCOPE: says repository, and the runner would serve the whole organization",),
    ),
    (
        {
            "RUNNER_REPOSITORY_URL": "https://github.com/acme/shop",
            "RUNNER_ORGANIZATION_URL": "https://github.com/acme",
            "GITHUB_ACCESS_TOKEN": TOKEN,
        },
        ("RUNNER_REPOSITORY_URL and RUNNER_ORGANIZATION_URL: say different things",),
    ),
    (
        {"RUNNER_PRINCIPAL": "acme", "RUNNER_PAT": TOKEN},
        ("RUNNER_PRINCIPAL: 'acme' names",),
    ),
    (
        {"RUNNER_PRINCIPAL": "acme/shop", "RUNNER_SCOPE": "org", "RUNNER_PAT": TOKEN},
        ("RUNNER_SCOPE: says org, and RUNNER_PRINCIPAL names a repository",),
    ),
    (
        {"RUNNER_PRINCIPAL": "acme/shop", "RUNNER_SCOPE": "planet", "RUNNER_PAT": TOKEN},
        ("RUNNER_SCOPE: 'planet' is not one of",),
    ),
    ({"RUNNER_PAT": TOKEN}, ("RUNNER_PRINCIPAL: is missing",)),
    (
        {"RUNNER_ORG": "octo", "RUNNER_REPO": "acme/shop", "RUNNER_TOKEN": REGISTRATION},
        ("RUNNER_ORG and RUNNER_REPO: name different owners",),
    ),
    ({"RUNNER_REPO": "shop", "RUNNER_TOKEN": REGISTRATION}, ("RUNNER_REPO: names no owner",)),
    (
        {**MYOUNG34, "RUNNER_PRINCIPAL": "acme/other", "RUNNER_VERBOSE": "x"},
        ("RUNNER_PRINCIPAL", "REPO_URL", "RUNNER_VERBOSE: 'x' is not a whole number"),
    ),
    (
        {"GITHUB_OWNER": "a", "GITHUB_PERSONAL_TOKEN": TOKEN, "ACTIONS_RUNNER_INPUT_LABELS": "x"}
        | {"RUNNER_LABELS": "y"},
        ("RUNNER_LABELS and ACTIONS_RUNNER_INPUT_LABELS: say different things",),
    ),
]


@pytest.mark.parametrize(("env", "words"), REFUSED)
def test_refused(env: dict[str, str], words: tuple[str, ...]) -> None:
    """A contradiction, or a scope wider than a name says, is one message with the names."""
    message = refused(env)
    for part in words:
        assert part in message
    assert TOKEN not in message


@pytest.mark.parametrize(
    "common",
    [
        {"LABELS": "x", "EPHEMERAL": "maybe", "APP_ID": "x"},
        {"GITHUB_TOKEN": OTHER, "ACCESS_TOKEN": OTHER, "APP_PRIVATE_KEY": OTHER},
        {"DEBUG": "1", "MTU": "x", "DOCKER_ENABLED": "x"},
    ],
)
def test_common_words_are_nobodys(common: dict[str, str]) -> None:
    """Common words count only beside a project's own names; alone they are passed to the jobs."""
    values = read({"GITHUB_OWNER": "acme", "GITHUB_PERSONAL_TOKEN": TOKEN, **common})
    assert values.recognised == ""
    assert values.secrets == {"GITHUB_PERSONAL_TOKEN": TOKEN}
    assert values.others == {name: value for name, value in common.items() if name in BORROWED}


def test_a_line_says_what_became_of_each_name() -> None:
    """One line says which project was recognised, what each name became, and added labels."""
    line = read({**MYOUNG34, "RUNNER_NAME": "n"}).recognised
    assert line == (
        "configured for myoung34/docker-github-actions-runner: REPO_URL → GITHUB_URL,"
        " ACCESS_TOKEN → GITHUB_PERSONAL_TOKEN; labels added: default"
    )


def test_what_has_no_equal_is_named() -> None:
    """A note names each variable that has no equal here, except those that need none."""
    env = {"CONFIGURED_ACTIONS_RUNNER_FILES_DIR": "/x", "UNSET_CONFIG_VARS": "true"}
    notes = read({**MYOUNG34, **env, "DISABLE_AUTOMATIC_DEREGISTRATION": "yes"}).notes
    assert [note.partition(":")[0] for note in notes] == [
        "DISABLE_AUTOMATIC_DEREGISTRATION",
        "CONFIGURED_ACTIONS_RUNNER_FILES_DIR",
    ]


def test_secrets_of_others_are_secrets() -> None:
    """Every name that another project has for a secret is removed from the environment."""
    rows = [row for project in PROJECTS for row in project.rows]
    assert {row.theirs for row in rows if row.ours in SECRETS} - {*SECRETS} <= {*BORROWED}
    assert {*BORROWED} <= {row.theirs for row in rows}


def test_the_table_names_real_settings() -> None:
    """Each row has a setting of ours, or says what to do instead."""
    for project in PROJECTS:
        for row in (*project.rows, *project.scope_names):
            assert row.ours in schema.ours() or row.how, (project.name, row.theirs)
        assert project.better
        assert project.different


def names_of(project: Project) -> list[str]:
    """Return all variables of a project."""
    return [row.theirs for row in (*project.scope_names, *project.rows)]


VALUES = {
    "REPO_URL": ["https://github.com/acme/shop", "https://github.com/octo/x", "nonsense"],
    "RUNNER_REPOSITORY_URL": ["https://github.com/acme/shop"],
    "RUNNER_ORGANIZATION_URL": ["https://github.com/acme"],
    "GITHUB_URL": ["https://github.com/", "https://github.com/acme/shop"],
    "RUNNER_SCOPE": ["repo", "org", "enterprise", "ent", "x"],
    "RUNNER_PRINCIPAL": ["acme", "acme/shop"],
    "RUNNER_CONTEXT": ["acme", "acme/shop"],
    "RUNNER_REPO": ["acme/shop", "shop"],
    "GITHUB_REPOSITORY": ["shop", "acme/shop"],
    "ORG_RUNNER": ["true", "false"],
    "RUNNER_TOKEN": [REGISTRATION],
    "GITHUB_HOST": ["github.com", "https://ghe.example.com/"],
}
# The widest scope that each name allows, whatever other names say.
SAYS = {
    "REPO_URL": Scope.REPOSITORY,
    "RUNNER_REPOSITORY_URL": Scope.REPOSITORY,
    "RUNNER_REPO": Scope.REPOSITORY,
    "GITHUB_REPOSITORY": Scope.REPOSITORY,
    "ORG_NAME": Scope.ORGANIZATION,
    "RUNNER_ORG": Scope.ORGANIZATION,
    "RUNNER_ORGANIZATION_URL": Scope.ORGANIZATION,
    "GITHUB_OWNER": Scope.ORGANIZATION,
}
WIDTH = [Scope.REPOSITORY, Scope.ORGANIZATION, Scope.ENTERPRISE]


def value_of(name: str) -> st.SearchStrategy[str]:
    """Values that a user would give, and some that make no sense."""
    if name in VALUES:
        return st.sampled_from(VALUES[name])
    if name in BORROWED or name == "GITHUB_PERSONAL_TOKEN":
        return st.just(TOKEN)
    return st.sampled_from(["acme", "1", "0", "true", "false", "maybe", "/x"])


@st.composite
def environments(draw: st.DrawFn) -> dict[str, str]:
    """Some variables of one project, and sometimes some of another's or of ours."""
    project = draw(st.sampled_from(PROJECTS))
    other = draw(st.sampled_from([project, project, *PROJECTS]))
    ours = ["GITHUB_OWNER", "GITHUB_REPOSITORY", "GITHUB_PERSONAL_TOKEN"]
    names = sorted({*names_of(project), *names_of(other), *draw(st.lists(st.sampled_from(ours)))})
    names = [name for name in names if name != "RUNNER_ENVFILE"]
    chosen = draw(st.lists(st.sampled_from(names), unique=True, max_size=8))
    return {name: draw(value_of(name)) for name in chosen}


def widest(env: dict[str, str]) -> Scope:
    """Return the widest scope that these variables allow."""
    says = [SAYS[name] for name in env if name in SAYS]
    if (
        "/" in env.get("RUNNER_PRINCIPAL", "") + env.get("RUNNER_CONTEXT", "")
        or env.get("GITHUB_URL", "").count("/") > 3
        or env.get("RUNNER_SCOPE") == "repo"
    ):
        return Scope.REPOSITORY
    return min(says, key=WIDTH.index, default=Scope.ENTERPRISE)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(environments())
def test_a_life_or_one_message(env: dict[str, str]) -> None:
    """Any variables of any project give right settings, or one message that names some of them."""
    try:
        values = read(env)
    except Failure:
        message = refused(env)
        told = set(re.findall(r"\b[A-Z][A-Z0-9_]{2,}\b", message))
        assert told & (env.keys() | schema.ours() | {"RUNNER_PRINCIPAL"})
        assert TOKEN not in message
        return
    assert WIDTH.index(values.settings.target.scope) <= WIDTH.index(widest(env)), values
    assert values.settings.ephemeral or "RUNNER_EPHEMERAL" in env
    assert values.settings.user != "root"
    for name in env:
        if name in BORROWED and name in values.others:
            assert not migration.translate(Given.divide(env)).used & {name}


def test_projects_are_documented() -> None:
    """The documentation has a section for each project that is recognised."""
    page = (Path(__file__).parents[3] / "docs" / "migrating.md").read_text()
    for project in projects.PROJECTS:
        assert f"## {project.name}\n" in page
