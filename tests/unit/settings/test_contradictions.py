"""Settings that are each fine by themselves, but not together."""

import pytest

from entrypoint.errors import Failure
from entrypoint.settings import validation
from tests.unit.settings.test_parsers import PEM

TOKEN = {"GITHUB_PERSONAL_TOKEN": "ghp_x"}
OWNER = {"GITHUB_OWNER": "acme"}
LEAST = {**TOKEN, **OWNER}
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
def test_wrong(values: dict[str, str], words: str) -> None:
    """A contradiction is told by the name of the variable to look at, and nothing else is."""
    with pytest.raises(Failure) as failure:
        validation.parse(values)
    assert failure.value.message.startswith(f"the settings are wrong: {words}")
    assert failure.value.message.count(": is ") <= 1


@pytest.mark.parametrize("values", FINE)
def test_fine(values: dict[str, str]) -> None:
    """What says the same twice, or belongs together, is no contradiction."""
    validation.parse(values)
