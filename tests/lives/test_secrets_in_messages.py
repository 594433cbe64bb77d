"""No message of the real program holds a secret, wherever it stands by mistake."""

from __future__ import annotations

import itertools
import os
import random

import pytest

from entrypoint.settings.schema import variables
from entrypoint.vault import SECRETS
from tests.support.life import Life
from tests.support.secrets import FORMS, parts_in

PROXIES = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "NO_PROXY")
FILES = tuple(f"{secret}_FILE" for secret in SECRETS)
AUTHORITIES = ("SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS", "SSL_CERT_DIR")
PLACES = (*variables(), *SECRETS, *FILES, *PROXIES, *AUTHORITIES)
COMMANDS = (["run"], ["check"], ["check", "--json"], ["sweep", "--older-than", "0"])


def said(life: Life, command: list[str], env: dict[str, str]) -> str:
    """All that the program prints with this environment, in a second at most of GitHub's time."""
    usual = {"GITHUB_TIMEOUT": "1", "RUNNER_IDLE_TIMEOUT": "0.1", "RUNNER_LOG_LEVEL": "debug"}
    life.env.update({**usual, **env})
    assert life.start(*command).wait() != 70, life.output
    return life.output


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("form", FORMS)
def test_a_secret_in_every_place_at_once(life: Life, form: str, command: list[str]) -> None:
    """Where everything is wrong, all of it is told, and no eight characters of a secret."""
    seed = int.from_bytes(os.urandom(4))
    found = {place: FORMS[form](seed + n) for n, place in enumerate(PLACES)}
    env = {place: value for place, (_, value) in found.items()}
    text = said(life, command, {**env, "RUNNER_ENVFILE": "", "RUNNER_LOG_FORMAT": "json"})
    assert [parts_in(secret, text) for secret, _ in found.values() if parts_in(secret, text)] == []


@pytest.mark.parametrize(("place", "command"), [*zip(PLACES, itertools.cycle(COMMANDS))])
def test_a_secret_in_the_wrong_place(life: Life, place: str, command: list[str]) -> None:
    """Whatever takes it for something else tells no eight characters of it."""
    seed = int.from_bytes(os.urandom(4))
    form = random.Random(seed).choice([*FORMS])
    secret, value = FORMS[form](seed)
    text = said(life, command, {place: value})
    assert parts_in(secret, text) == [], f"seed {seed}: {form} {text}"
