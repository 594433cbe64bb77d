"""No message of the real program contains a secret, even if it was given in a wrong place."""

from __future__ import annotations

import itertools
import os
import random

import pytest

from entrypoint.settings.schema import variables
from entrypoint.vault import BORROWED, SECRETS
from tests.support.life import Life
from tests.support.secrets import FORMS, parts_in

PROXIES = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "NO_PROXY")
FILES = tuple(f"{secret}_FILE" for secret in SECRETS)
AUTHORITIES = ("SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS", "SSL_CERT_DIR")
# Other projects' names for secrets and for the runner's scope.
BORROWED_NAMES = (*BORROWED, "REPO_URL", "RUNNER_PRINCIPAL", "RUNNER_CONTEXT", "LABELS")
PLACES = (*variables(), *SECRETS, *FILES, *PROXIES, *AUTHORITIES, *BORROWED_NAMES)
COMMANDS = (
    ["run"],
    ["check"],
    ["check", "--json"],
    ["sweep", "--older-than", "0"],
    ["settings"],
    ["jit"],
    ["status"],
)
# Command lines of which a secret is one word, or a part of one.
COMMAND_LINES = (
    ["{}"],
    ["-{}"],
    ["/bin/{}"],
    ["run", "{}"],
    ["check", "{}"],
    ["check", "--json={}"],
    ["settings", "--{}"],
    ["status", "{}"],
    ["status", "--{}"],
    ["status", "--json", "--state", "{}"],
    ["sweep", "{}"],
    ["sweep", "--prefix", "{}", "--older-than", "0"],
    ["sweep", "--label", "{}", "--all", "--older-than", "0"],
    ["sweep", "--older-than", "{}"],
    ["jit", "{}"],
    ["jit", "--remove", "{}"],
    ["jit", "--output", "/nonexistent/{}"],
    ["exec", "{}"],
    ["exec", "-v", "--", "{}"],
    ["exec", "-r", "{}:15", "true"],
    ["exec", "--{}"],
)
# Each form once, and each command with a fifth of the forms; the rest takes minutes.
PAIRS = [
    pytest.param(
        form,
        command,
        marks=[] if n_form % len(COMMANDS) == n_command else pytest.mark.exhaustive,
        id=f"{form}-{' '.join(command)}",
    )
    for n_form, form in enumerate(FORMS)
    for n_command, command in enumerate(COMMANDS)
]


def said(life: Life, command: list[str], env: dict[str, str]) -> str:
    """Return all that the program prints with this environment; GitHub has a second to answer."""
    figures = life.directory / "state" / "figures.prom"
    usual = {
        "GITHUB_TIMEOUT": "1",
        "RUNNER_IDLE_TIMEOUT": "0.1",
        "RUNNER_LOG_LEVEL": "debug",
        "RUNNER_LOG_FORMAT": random.choice(["json", "console"]),
        "RUNNER_METRICS_FILE": str(figures),
    }
    life.env.update({**usual, **env})
    assert life.start(*command).wait() != 70, life.output
    written = [path.read_text() for path in figures.parent.glob("*") if path.suffix != ".pem"]
    return "\n".join([life.output, *written])


@pytest.mark.parametrize(("form", "command"), PAIRS)
def test_a_secret_in_every_place_at_once(life: Life, form: str, command: list[str]) -> None:
    """If everything is wrong, all of it is reported, without eight characters of any secret."""
    seed = int.from_bytes(os.urandom(4))
    found = {place: FORMS[form](seed + n) for n, place in enumerate(PLACES)}
    env = {place: value for place, (_, value) in found.items()}
    text = said(life, command, {**env, "RUNNER_ENVFILE": "", "RUNNER_LOG_FORMAT": "json"})
    assert [parts_in(secret, text) for secret, _ in found.values() if parts_in(secret, text)] == []


@pytest.mark.parametrize("form", FORMS)
def test_a_secret_in_an_env_file(life: Life, form: str) -> None:
    """If everything in an env file is wrong, the message has no part of its values."""
    seed = int.from_bytes(os.urandom(4))
    found = {place: FORMS[form](seed + n) for n, place in enumerate(PLACES)}
    path = life.directory / "env"
    lines = [f"{place}={value}" for place, (_, value) in found.items() if place != "RUNNER_ENVFILE"]
    path.write_text("\n".join([*lines, *(value for _, value in found.values())]))
    path.chmod(0o600)
    text = said(life, ["run"], {"RUNNER_ENVFILE": str(path), "GITHUB_PERSONAL_TOKEN": ""})
    assert [parts_in(secret, text) for secret, _ in found.values() if parts_in(secret, text)] == []


@pytest.mark.parametrize(("place", "command"), [*zip(PLACES, itertools.cycle(COMMANDS))])
def test_a_secret_in_the_wrong_place(life: Life, place: str, command: list[str]) -> None:
    """A secret in a place for something else is reported without eight characters of it."""
    seed = int.from_bytes(os.urandom(4))
    form = random.Random(seed).choice([*FORMS])
    secret, value = FORMS[form](seed)
    text = said(life, command, {place: value})
    assert parts_in(secret, text) == [], f"seed {seed}: {form} {text}"


@pytest.mark.parametrize("words", COMMAND_LINES, ids=" ".join)
def test_a_secret_on_the_command_line(life: Life, words: list[str]) -> None:
    """A word that is no option, command or number is reported without any part of a secret."""
    seed = int.from_bytes(os.urandom(4))
    form = random.Random(seed).choice([*FORMS])
    secret, value = FORMS[form](seed)
    text = said(life, [word.format(value) for word in words], {})
    assert parts_in(secret, text) == [], f"seed {seed}: {form} {text}"
