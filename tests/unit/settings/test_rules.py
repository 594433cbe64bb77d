"""All settings together: defaults, and every problem at once under its variable's name."""

from typing import Any

import pytest

from entrypoint.errors import ExitCode, Failure
from entrypoint.settings import misspelt, schema
from entrypoint.vault import SECRETS
from tests.support.secrets import FORMS, parts_in
from tests.support.settings import parse
from tests.unit.settings.test_parsers import PEM

LEAST = {"GITHUB_OWNER": "acme", "GITHUB_PERSONAL_TOKEN": "ghp_x"}

# By variable: a right value, the setting that it becomes, and a wrong value.
EACH: dict[str, tuple[str, Any, str]] = {
    "GITHUB_OWNER": ("octo", "octo", "octo/cat"),
    "GITHUB_REPOSITORY": ("shop.git", "shop", "acme/shop/x"),
    "GITHUB_HOST": ("GHE.example.com", "ghe.example.com", "https://ghe.example.com"),
    "GITHUB_API_URL": ("https://a.b/api/v3/", "https://a.b/api/v3", "a.b"),
    "GITHUB_ALLOW_HTTP": ("1", True, "perhaps"),
    "GITHUB_APP_INSTALLATION_ID": ("", 0, "x"),
    "GITHUB_TIMEOUT": ("90", 90.0, "0"),
    "RUNNER_NAME": ("shop", "shop", "sh\x00op"),
    "RUNNER_LABELS": ("gpu, big", ("gpu", "big"), "x" * 257),
    "RUNNER_GROUP": ("builders", "builders", "a\tb"),
    "RUNNER_WORKDIR": ("/w", "/w", "a\tb"),
    "RUNNER_USER": ("ci", "ci", "a\tb"),
    "RUNNER_HOME": ("/opt/runner", "/opt/runner", "runner"),
    "RUNNER_REGISTRATION": ("JIT", "jit", "pat"),
    "RUNNER_EPHEMERAL": ("no", False, "perhaps"),
    "RUNNER_DISABLE_UPDATE": ("off", False, "perhaps"),
    "RUNNER_CREDENTIAL": ("until-job", "until-job", "for ever"),
    "RUNNER_SUDO": ("0", False, "perhaps"),
    "RUNNER_ALLOW_PTRACE": ("1", True, "perhaps"),
    "RUNNER_ALLOW_READABLE_SECRETS": ("1", True, "perhaps"),
    "RUNNER_ENGINE": ("Docker", "docker", "lxc"),
    "RUNNER_ENGINE_OPTIONS": ("--debug", "--debug", "a\tb"),
    "RUNNER_NO_DEFAULT_LABELS": ("0", False, "perhaps"),
    "RUNNER_VERSION": ("2.336.0", "2.336.0", "a\tb"),
    "RUNNER_RELEASED": ("2026-09-10", "2026-09-10", "10.9.2026"),
    "RUNNER_ENVFILE": ("/run/env", "/run/env", "a\tb"),
    "RUNNER_LOG_FORMAT": ("json", "json", "xml"),
    "RUNNER_LOG_LEVEL": ("WARN", "warning", "loud"),
    "RUNNER_STOP_TIMEOUT": ("25", 25.0, "0"),
    "RUNNER_CANCEL_TIMEOUT": ("0.5", 0.5, "nan"),
    "RUNNER_DRAIN_TIMEOUT": ("3600", 3600.0, "1h"),
    "RUNNER_FAILURE_PAUSE": ("3600", 3600.0, "1h"),
    "RUNNER_IDLE_TIMEOUT": ("600", 600.0, "10m"),
    "RUNNER_JOB_TIMEOUT": ("600", 600.0, "10m"),
    "RUNNER_WATCHDOG": ("60", 60.0, "yes"),
    "RUNNER_MAX_RESTARTS": ("3", 3, "-3"),
    "RUNNER_METRICS_FILE": ("/tmp/metrics/", "/tmp/metrics/", "metrics"),
    "RUNNER_ENGINE_CLEANUP": ("0", False, "maybe"),
    "RUNNER_ENGINE_MTU": ("1400", 1400, "-1"),
    "RUNNER_ENGINE_MIRRORS": ("https://a, https://b", ("https://a", "https://b"), "a\nb"),
    "RUNNER_ENGINE_INSECURE_REGISTRIES": ("10.0.0.1:5000", ("10.0.0.1:5000",), "a\nb"),
    "RUNNER_ENGINE_DATA_ROOT": ("/data", "/data", "data"),
    "RUNNER_ENGINE_STORAGE_DRIVER": ("overlay2", "overlay2", "a\nb"),
    "RUNNER_ENGINE_ADDRESS_POOL": ("base=10.0.0.0/16,size=24", "base=10.0.0.0/16,size=24", "a\nb"),
    "RUNNER_MIN_FREE_DISK": ("500M", 500 * 2**20, "much"),
    "RUNNER_STATE_DIR": ("/tmp/state", "/tmp/state", "state"),
}
# These need other variables or a file; see below and test_certificates.py.
ELSEWHERE = {
    "GITHUB_URL",
    "GITHUB_ENTERPRISE",
    "GITHUB_APP_ID",
    "RUNNER_CA_FILE",
    "RUNNER_STOP_FILE",
}


def refused(values: dict[str, str]) -> str:
    """Return the message by which these values are refused."""
    with pytest.raises(Failure) as failure:
        parse(values)
    assert failure.value.code is ExitCode.CONFIG
    return failure.value.message


def test_every_setting_is_tested() -> None:
    """Each setting has a right and a wrong value in EACH."""
    assert schema.variables().keys() == EACH.keys() | ELSEWHERE


@pytest.mark.parametrize("variable", EACH)
def test_a_value_is_taken(variable: str) -> None:
    """A right value becomes the setting; white space around it does not matter."""
    value, result, _ = EACH[variable]
    parsed = parse({**LEAST, variable: f" {value} "})
    assert getattr(parsed, schema.variables()[variable]["field"]) == result


@pytest.mark.parametrize("quote", ["'", '"'])
@pytest.mark.parametrize("variable", EACH)
def test_quotes_are_no_part_of_a_value(variable: str, quote: str) -> None:
    """Quotes around a value are removed: `docker run --env-file` leaves them there."""
    value, result, _ = EACH[variable]
    parsed = parse({**LEAST, variable: f"{quote}{value}{quote}"})
    assert getattr(parsed, schema.variables()[variable]["field"]) == result


@pytest.mark.parametrize("variable", EACH)
def test_a_value_is_refused(variable: str) -> None:
    """A wrong value is the only problem, under the name of its variable."""
    message = refused({**LEAST, variable: EACH[variable][2]})
    assert message.startswith(f"the settings are wrong: {variable}: ")
    assert ";" not in message.replace("; it takes", "")


def test_defaults() -> None:
    """With an owner and a token only, everything else has its documented default."""
    parsed = parse(LEAST)
    for variable, about in schema.variables().items():
        if variable != "GITHUB_OWNER":
            assert getattr(parsed, about["field"]) == about["parse"](about["default"])
    assert (parsed.host, parsed.registration) == ("github.com", "config")
    assert (parsed.ephemeral, parsed.disable_update) == (True, True)
    assert (parsed.stop_timeout, parsed.cancel_timeout, parsed.drain_timeout) == (9.0, 4.0, 0.0)


def test_empty_is_the_default() -> None:
    """An empty value means the default: compose passes one for an unset variable."""
    empty = dict.fromkeys(schema.variables(), "")
    assert parse({**empty, **LEAST}) == parse(LEAST)


def test_every_problem_is_told_at_once() -> None:
    """One message has all problems."""
    message = refused(
        {
            "GITHUB_OWNER": "a/b",
            "RUNNER_EPHEMERAL": "perhaps",
            "RUNNER_HOME": "home",
            "RUNNER_NO_DEFAULT_LABELS": "1",
            "GITHUB_TIMEOUT": "x",
        }
    )
    for variable in ("GITHUB_OWNER", "RUNNER_EPHEMERAL", "RUNNER_HOME", "GITHUB_TIMEOUT"):
        assert message.count(f"{variable}: ") == 1
    assert "GITHUB_PERSONAL_TOKEN: no credential is given" in message


def test_consequences_are_not_told() -> None:
    """A problem that only follows from another one is left out, because it would mislead."""
    message = refused({"GITHUB_URL": "github.com/acme", "GITHUB_PERSONAL_TOKEN": "ghp_x"})
    assert "GITHUB_OWNER" not in message
    message = refused({**LEAST, "RUNNER_NO_DEFAULT_LABELS": "1", "RUNNER_LABELS": "a\tb"})
    assert "needs RUNNER_LABELS" not in message


def test_problems_found_before_are_told_too() -> None:
    """One message has the problems of files and those of values."""
    with pytest.raises(Failure, match=r"GITHUB_PERSONAL_TOKEN_FILE: /t is empty; GITHUB_OWNER"):
        parse({}, ["GITHUB_PERSONAL_TOKEN_FILE: /t is empty"])


@pytest.mark.parametrize("variable", SECRETS)
def test_a_secret_is_never_part_of_a_message(variable: str) -> None:
    """However wrong the settings are, no message contains a credential."""
    assert "hunter2" not in refused({variable: "hunter2", "RUNNER_HOME": "x"})


MISSING = {"GITHUB_PERSONAL_TOKEN": "ghp_x"}


@pytest.mark.parametrize(
    ("values", "variable", "meant"),
    [
        ({**MISSING, "GITHUB_OWNR": "acme"}, "GITHUB_OWNR", "GITHUB_OWNER"),
        ({"GITHUB_OWNER": "a", "GITHUB_TOKN": "x"}, "", ""),
        (
            {"GITHUB_OWNER": "a", "GITHUB_PERSONAL_TOKN": "x"},
            "GITHUB_PERSONAL_TOKN",
            "GITHUB_PERSONAL_TOKEN",
        ),
    ],
)
def test_misspelt_and_missing(values: dict[str, str], variable: str, meant: str) -> None:
    """If a needed variable is missing and a similar name is set, the message asks about that."""
    message = refused(values)
    assert f"{variable}: is not known, did you mean {meant}?" in message or not variable


@pytest.mark.parametrize(
    "variable",
    ["RUNNER_EPHEMERALL", "GITHUB_PERSONAL_TOKEN_FILES", "RUNNER_LABLES", "RUNNER_OS"],
)
def test_a_guess_forbids_nothing(variable: str) -> None:
    """If nothing is missing, a name that is similar to one of ours is accepted."""
    parse({variable: "x", **LEAST})


NARROWING = [
    ({"GITHUB_REPO": "shop"}, "GITHUB_REPOSITORY"),
    ({"GITHUB_REPOSITRY": "shop"}, "GITHUB_REPOSITORY"),
    ({"GITHUB_REPOSITORY_NAME": "shop"}, "GITHUB_REPOSITORY"),
    ({"RUNNER_REPOS": "shop"}, "GITHUB_REPOSITORY"),
    ({"RUNNER_GROUP_NAME": "trusted"}, "RUNNER_GROUP"),
    ({"RUNNER_GRUP": "trusted"}, "RUNNER_GROUP"),
    ({"RUNNER_GROUPNAME": "trusted"}, "RUNNER_GROUP"),
    ({"GH_REPOSITORY": "shop"}, "GITHUB_REPOSITORY"),
    ({"GITHUB_RUNNER_REPO": "shop"}, "GITHUB_REPOSITORY"),
    ({"github_repository": "shop"}, "GITHUB_REPOSITORY"),
    ({"GITHUB_REPOSITORY ": "shop"}, "GITHUB_REPOSITORY"),
    ({"runner_group": "trusted"}, "RUNNER_GROUP"),
]


@pytest.mark.parametrize(("values", "meant"), NARROWING)
def test_nothing_becomes_wider_than_it_was_written(values: dict[str, str], meant: str) -> None:
    """A misspelt name that would let the runner serve more is refused, with the right name."""
    [variable] = values
    message = refused({**LEAST, **values})
    assert f"{variable}: is not known, did you mean {meant}?" in message
    assert "would serve more" in message
    parse({**LEAST, **values, meant: "shop"})


@pytest.mark.parametrize("variable", ["GITHUB_ORG", "RUNNER_ORGANISATION", "GITHUB_OWNER_NAME"])
def test_an_organization_is_narrower_than_an_enterprise(variable: str) -> None:
    """A name that stands for an owner is refused beside an enterprise; else a note asks."""
    message = refused({**MISSING, "GITHUB_ENTERPRISE": "big", variable: "acme"})
    assert f"{variable}: is not known, did you mean GITHUB_OWNER?" in message
    assert f"{variable}: is not known" in refused({**MISSING, variable: "acme"})
    parse({**LEAST, variable: "other"})


@pytest.mark.parametrize(
    "variable", ["GITHUB_PAT", "GH_TOKEN", "GITHUB_PERSONAL_ACCESS_TOKEN_FILE"]
)
def test_a_token_by_another_name_is_asked_about(variable: str) -> None:
    """If no credential is given, the message names the variable that seems to hold one."""
    message = refused({"GITHUB_OWNER": "acme", variable: "/x"})
    assert f"{variable}: is not known, did you mean GITHUB_PERSONAL_TOKEN?" in message
    parse({**LEAST, variable: "/x"})


@pytest.mark.parametrize("variable", ["GH_REPO", "GITHUB_USER"])
def test_what_jobs_may_need_forbids_nothing(variable: str) -> None:
    """A variable that GitHub's command line reads is accepted, however wide the scope is."""
    parse({**MISSING, "GITHUB_ENTERPRISE": "big", variable: "acme/shop"})


SERVICE_LINKS = [
    "GITHUB_PORT",
    "GITHUB_SERVICE_HOST",
    "GITHUB_SERVICE_PORT_HTTPS",
    "GITHUB_PORT_443_TCP",
    "GITHUB_PORT_443_TCP_ADDR",
    "GITHUB_REPO_SERVICE_HOST",
    "RUNNER_GROUP_PORT_80_TCP_PROTO",
]


@pytest.mark.parametrize("variable", SERVICE_LINKS)
def test_a_service_of_kubernetes_is_no_setting(variable: str) -> None:
    """The variables that Kubernetes sets for a Service called github are ignored."""
    assert misspelt.guesses({variable: "tcp://10.0.0.1:443"}) == []
    message = refused({variable: "tcp://10.0.0.1:443"})
    assert variable not in message


def test_documented_variables_are_no_settings() -> None:
    """No variable that GitHub documents for jobs is taken for a misspelt setting."""
    given = dict.fromkeys(("GITHUB_REPOSITORY_OWNER", "GITHUB_RUN_ID", "RUNNER_TOOL_CACHE"), "x")
    assert misspelt.guesses(given) == []


@pytest.mark.parametrize(
    ("values", "target"),
    [
        ({"GITHUB_REPOSITORY": "acme/shop"}, "repository acme/shop on github.com"),
        ({"GITHUB_OWNER": "Acme", "GITHUB_REPOSITORY": "acme/shop"}, "repository Acme/shop on"),
        ({"GITHUB_OWNER": "acme", "GITHUB_REPOSITORY": "shop.git"}, "repository acme/shop on"),
        ({"GITHUB_URL": "https://GitHub.com:443/acme/shop.git"}, "repository acme/shop on github"),
        (
            {"GITHUB_URL": "https://github.com/Acme", "GITHUB_OWNER": "acme"},
            "organization Acme on github.com",
        ),
        ({"GITHUB_HOST": "github.com:443", "GITHUB_OWNER": "acme"}, "organization acme on github"),
        ({"GITHUB_HOST": "github.com.", "GITHUB_OWNER": "acme"}, "organization acme on github.com"),
        ({"GITHUB_URL": "https://github.com.:443/acme"}, "organization acme on github.com"),
    ],
)
def test_what_is_meant_is_understood(values: dict[str, str], target: str) -> None:
    """Letter case, .git, the usual port and an owner before the repository do not matter."""
    assert str(parse({**MISSING, **values}).target).startswith(target)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"GITHUB_OWNER": "octo", "GITHUB_REPOSITORY": "acme/shop"}, "GITHUB_REPOSITORY: names an"),
        ({"GITHUB_URL": "https://github.com/acme/.git"}, "GITHUB_URL: "),
        ({"GITHUB_OWNER": "acme", "GITHUB_REPOSITORY": ".git"}, "GITHUB_REPOSITORY: '.git' names"),
        ({"GITHUB_OWNER": "your-user-or-organization"}, "GITHUB_OWNER: is still the placeholder"),
    ],
)
def test_what_cannot_be_meant(values: dict[str, str], words: str) -> None:
    """A target that contradicts itself, or is a placeholder, is refused."""
    assert refused({**MISSING, **values}).startswith(f"the settings are wrong: {words}")


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"GITHUB_URL": "http://github.com/o/r"}, "GITHUB_URL: the credential would be sent"),
        ({"GITHUB_API_URL": "http://api.github.com", **LEAST}, "GITHUB_API_URL: the credential"),
        ({"GITHUB_URL": "http://ghe.example.com/o"}, "set GITHUB_ALLOW_HTTP=1"),
        (
            {"GITHUB_URL": "http://github.com/o/r", "GITHUB_ALLOW_HTTP": "1"},
            "github.com takes https://",
        ),
        (
            {"GITHUB_URL": "http://GitHub.com.:80/o/r", "GITHUB_ALLOW_HTTP": "1"},
            "github.com takes https://",
        ),
        (
            {"GITHUB_URL": "http://github.com:8080/o/r", "GITHUB_ALLOW_HTTP": "1"},
            "a port that github.com does not have",
        ),
        (
            {"GITHUB_API_URL": "http://api.github.com:8080", "GITHUB_ALLOW_HTTP": "1", **LEAST},
            "a port that api.github.com does not have",
        ),
        ({"GITHUB_URL": "http://localhost.example.com/o"}, "set GITHUB_ALLOW_HTTP=1"),
    ],
)
def test_no_credential_goes_out_unencrypted(values: dict[str, str], words: str) -> None:
    """Plain http is refused, unless an operator allows it for an Enterprise Server."""
    assert words in refused({**MISSING, **values})


@pytest.mark.parametrize(
    "values",
    [
        {"GITHUB_API_URL": "http://127.0.0.1:8080", **LEAST},
        {"GITHUB_API_URL": "http://localhost", **LEAST},
        {"GITHUB_URL": "http://ghe.example.com/o", "GITHUB_ALLOW_HTTP": "1"},
    ],
)
def test_what_may_go_out_unencrypted(values: dict[str, str]) -> None:
    """Plain http is accepted to this machine, and where an operator allows it."""
    parse({**MISSING, **values})


@pytest.mark.parametrize("form", ["classic", "key", "registration", "JWT", "proxy", "proxy with /"])
@pytest.mark.parametrize(
    "variable", ["RUNNER_NAME", "RUNNER_LABELS", "RUNNER_GROUP", "RUNNER_WORKDIR"]
)
def test_a_secret_is_no_setting(form: str, variable: str) -> None:
    """A secret in a setting that GitHub's pages show is refused, and not repeated."""
    secret, value = FORMS[form](5)
    message = refused({**LEAST, variable: value.replace("\n", " ")})
    assert message.startswith(f"the settings are wrong: {variable}: ")
    assert parts_in(secret, message) == []


@pytest.mark.parametrize("name", ["TOKEN", "PAT"])
def test_secret_for_the_runner_itself_is_refused(name: str) -> None:
    """A secret in a variable of config.sh is refused, since every job would get the variable."""
    message = refused({**LEAST, f"ACTIONS_RUNNER_INPUT_{name}": "hunter2"})
    assert f"ACTIONS_RUNNER_INPUT_{name}: every job could read it; give " in message
    assert "hunter2" not in message


@pytest.mark.parametrize("variable", ["GITHUB_ACTIONS", "RUNNER_ALLOW_RUNASROOT", "RUNNER_TEMP"])
def test_foreign_names_pass(variable: str) -> None:
    """Variables of the runner itself, and names unlike any of ours, are accepted."""
    parse({**LEAST, variable: "1"})


TOKEN = {"GITHUB_PERSONAL_TOKEN": "ghp_x"}
OWNER = {"GITHUB_OWNER": "acme"}
APP = {"GITHUB_APP_ID": "1", "GITHUB_APP_PRIVATE_KEY": PEM}
SHOP = {"GITHUB_URL": "https://github.com/acme/shop"}

WRONG = [
    (TOKEN, "GITHUB_OWNER: is missing; it names the user"),
    ({**TOKEN, "GITHUB_REPOSITORY": "shop"}, "GITHUB_OWNER: is missing; it names the owner of"),
    ({**LEAST, "GITHUB_ENTERPRISE": "acme"}, "GITHUB_ENTERPRISE: is given together"),
    ({**TOKEN, **SHOP, "GITHUB_OWNER": "octo"}, "GITHUB_OWNER: is given together with GITHUB_URL"),
    ({**TOKEN, **SHOP, "GITHUB_REPOSITORY": "x"}, "GITHUB_REPOSITORY: is given together with"),
    ({**TOKEN, **SHOP, "GITHUB_ENTERPRISE": "x"}, "GITHUB_ENTERPRISE: is given together with"),
    ({**TOKEN, **SHOP, "GITHUB_HOST": "x.org"}, "GITHUB_HOST: is given together with GITHUB_URL"),
    (OWNER, "GITHUB_PERSONAL_TOKEN: no credential is given"),
    ({**LEAST, "RUNNER_TOKEN": "A"}, "GITHUB_PERSONAL_TOKEN: is given together with RUNNER_TOKEN"),
    ({**LEAST, **APP}, "GITHUB_PERSONAL_TOKEN: is given together with GITHUB_APP_PRIVATE_KEY"),
    ({**OWNER, "GITHUB_APP_ID": "1"}, "GITHUB_APP_PRIVATE_KEY: is missing"),
    ({**LEAST, "GITHUB_APP_ID": "1"}, "GITHUB_APP_PRIVATE_KEY: is missing"),
    ({**OWNER, "GITHUB_APP_PRIVATE_KEY": PEM}, "GITHUB_APP_ID: is missing"),
    ({**OWNER, **APP, "GITHUB_APP_PRIVATE_KEY": "x"}, "GITHUB_APP_PRIVATE_KEY: is neither"),
    (
        {**OWNER, "RUNNER_TOKEN": "A", "RUNNER_REGISTRATION": "jit"},
        "RUNNER_REGISTRATION: jit needs",
    ),
    ({**LEAST, "RUNNER_NO_DEFAULT_LABELS": "1"}, "RUNNER_NO_DEFAULT_LABELS: needs RUNNER_LABELS"),
    (
        {**LEAST, "RUNNER_REGISTRATION": "jit", "RUNNER_EPHEMERAL": "0"},
        "RUNNER_REGISTRATION: jit is for ephemeral runners",
    ),
    (
        {
            **LEAST,
            "RUNNER_REGISTRATION": "jit",
            "RUNNER_LABELS": ",".join(f"l{number}" for number in range(98)),
        },
        "RUNNER_LABELS: jit takes 100 labels at most",
    ),
    ({**LEAST, "GITHUB_REPOSITORY": "shop", "RUNNER_GROUP": "x"}, "RUNNER_GROUP: a repository"),
    ({**TOKEN, **SHOP, "RUNNER_GROUP": "x"}, "RUNNER_GROUP: a repository has no runner groups"),
]

FINE = [
    {**TOKEN, "GITHUB_ENTERPRISE": "acme"},
    {**OWNER, **APP},
    {**OWNER, **APP, "GITHUB_APP_INSTALLATION_ID": "7"},
    {**OWNER, "RUNNER_TOKEN": "A"},
    {**TOKEN, **SHOP},
    {**TOKEN, **SHOP, "GITHUB_OWNER": "acme", "GITHUB_REPOSITORY": "shop"},
    {**TOKEN, **SHOP, "GITHUB_HOST": "github.com"},
    {**TOKEN, "GITHUB_URL": "https://github.com/enterprises/a", "GITHUB_ENTERPRISE": "a"},
    {**LEAST, "GITHUB_REPOSITORY": "shop", "RUNNER_GROUP": "Default"},
    {**LEAST, "RUNNER_GROUP": "x"},
    {**LEAST, "RUNNER_REGISTRATION": "jit", "RUNNER_LABELS": "a"},
]


@pytest.mark.parametrize(("values", "words"), WRONG)
def test_contradiction(values: dict[str, str], words: str) -> None:
    """A contradiction is the only problem, under the name of the variable to look at."""
    with pytest.raises(Failure) as failure:
        parse(values)
    assert failure.value.message.startswith(f"the settings are wrong: {words}")
    assert failure.value.message.count(": is ") <= 1


@pytest.mark.parametrize("values", FINE)
def test_no_contradiction(values: dict[str, str]) -> None:
    """Saying the same thing twice is no contradiction."""
    parse(values)
