"""The examples that other projects publish start here unchanged, with the same effect."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import requests

from simulator import Simulator
from tests.support.life import TOKEN, USER, Life

EXAMPLES = Path(__file__).parents[1] / "data" / "configurations"
OURS = ("GITHUB_OWNER", "GITHUB_REPOSITORY", "GITHUB_PERSONAL_TOKEN", "RUNNER_NAME", "RUNNER_USER")
SHOP = "https://github.com/acme/shop"
DEFAULT = {"self-hosted", "Linux", "X64"}

# By example: URL, beginning of the name, labels, work folder.
EXPECTED: dict[str, tuple[str, str, set[str], str]] = {
    "passeidireto": (SHOP, "pd-gh-runner-", {"test1", "test2"}, "_work"),
    "passeidireto-organization": (
        "https://github.com/acme",
        "pd-gh-runner-",
        {"test1", "test2"},
        "_work",
    ),
    "cwpearson": (SHOP, "", set(), "_work"),
    "major0": (
        SHOP,
        "techops-runner-",
        {"ephemeral", "techops-runner", "dev", "techops-runner-0a1b2c3d"},
        "_workdir",
    ),
    "efrecon": (SHOP, "", {"krun", "krunvm", "SYSTEM"}, "_work"),
    "socialgouv": ("https://github.com/acme", "runner-1-", {"default"}, "WORK/runner-1"),
    "myoung34-keda": (SHOP, "", {"e2etester"}, "_work"),
    "myoung34-reuse": (SHOP, "sustainjane-runner-1-", {"linux", "x64"}, "WORK/work"),
    "arc": (SHOP, "example-runnerdeploy2475h595fr-", set(), "WORK/_work"),
}


def example(name: str, life: Life) -> dict[str, str]:
    """Return the variables of an example, with the simulator's values in place of secrets."""
    text = (EXAMPLES / f"{name}.env").read_text()
    found = {}
    for variable, written in re.findall(r"^([A-Z_0-9]+)=(.*)$", text, re.MULTILINE):
        match value := written.strip("'"):
            case "TOKEN" | "USER":
                found[variable] = {"TOKEN": TOKEN, "USER": USER}[value]
            case "REGISTRATION":
                found[variable] = registration_token(life.simulator)
            case _:
                found[variable] = value.replace("WORK", str(life.directory / "work"))
    return found


def registration_token(simulator: Simulator) -> str:
    """Return a token as GitHub's page would show it."""
    url = f"{simulator.url}/repos/acme/shop/actions/runners/registration-token"
    answer = requests.post(url, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=10)
    return str(answer.json()["token"])


@pytest.fixture
def bare(life: Life) -> Life:
    """A life without variables of gh-runner, except those for the simulator."""
    (life.directory / "work").mkdir(mode=0o777)
    (life.directory / "work").chmod(0o777)
    life.env = {k: v for k, v in life.env.items() if k not in OURS}
    return life


def start(life: Life, name: str, **more: str) -> None:
    """Start it with an example, but as a user of this machine."""
    life.env |= {"RUNNER_USER": USER, **example(name, life), **more}
    life.start()


def facts(life: Life) -> dict[str, Any]:
    """Return the record that GitHub's runner has made of its registration, keys in lower case."""
    found = json.loads((life.home / ".runner").read_text(encoding="utf-8-sig"))
    return {key.lower(): value for key, value in found.items()}


@pytest.mark.parametrize("name", EXPECTED)
def test_a_whole_life(bare: Life, simulator: Simulator, name: str) -> None:
    """Scope, name, labels, group, work folder, job and exit code are those of the example."""
    address, prefix, labels, folder = EXPECTED[name]
    start(bare, name)
    simulator.wait_for("session_opened")
    [runner] = simulator.runners()
    found = facts(bare)
    assert found["githuburl"] == address
    assert found["workfolder"] == folder.replace("WORK", str(bare.directory / "work"))
    assert str(found["ephemeral"]).lower() == "true"
    assert str(found["disableupdate"]).lower() == "true"
    assert found.get("poolname", "Default") == "Default"
    assert runner["name"].startswith(prefix)
    own = {label["name"] for label in runner["labels"]} - DEFAULT
    assert own == {label for label in labels if label != "SYSTEM"} | (
        own - labels if "SYSTEM" in labels else set()
    )
    simulator.queue_job("env")
    assert bare.wait() == 0, bare.output
    assert simulator.runners() == []
    assert TOKEN not in bare.output
    assert name.startswith("passei") or "configured for" in bare.output


@pytest.mark.parametrize("name", ["cwpearson", "major0", "efrecon", "socialgouv", "myoung34-keda"])
def test_a_stop_and_a_job_that_looks(bare: Life, simulator: Simulator, name: str) -> None:
    """A job does not find a secret with another project's name, and a stop deregisters."""
    job = simulator.queue_job("env; cat /proc/1/environ | tr '\\0' '\\n'; echo looked; sleep 60")
    start(bare, name)
    simulator.wait_for("job_output", text="looked")
    assert bare.signal().wait() == 143, bare.output
    assert simulator.runners() == []
    log = simulator.job(job["id"])["log"]
    assert "PATH=" in log
    assert TOKEN not in log
    assert not [
        line for line in log.splitlines() if line.startswith(("ACCESS_TOKEN", "RUNNER_PAT"))
    ]


def test_a_secret_that_is_nobodys_reaches_the_job(life: Life, simulator: Simulator) -> None:
    """Without a project's own names GITHUB_TOKEN is passed to the jobs, and not used."""
    job = simulator.queue_job("echo token:$GITHUB_TOKEN")
    assert life.start(GITHUB_TOKEN="for-the-jobs-only").wait() == 0, life.output
    assert "token:for-the-jobs-only" in simulator.job(job["id"])["log"]


@pytest.mark.parametrize("command", ["run", "check", "settings"])
def test_everything_at_once_is_one_message(bare: Life, command: str) -> None:
    """If all of a project's variables are set, one message has all contradictions."""
    bare.env |= {"RUNNER_USER": USER, **example("myoung34-everything", bare)}
    assert bare.start(command).wait() == 78, bare.output
    for words in (
        "DEBUG_ONLY: asks for no registration",
        "REPO_URL: says repository",
        "RUNNER_TOKEN",
    ):
        assert words in bare.output
    assert bare.simulator.requests() == []
    assert TOKEN not in bare.output


def test_settings_tell_where_they_come_from(bare: Life) -> None:
    """`settings` prints each setting with value and source; of a secret only that it is set."""
    bare.env |= {"RUNNER_USER": USER, **example("myoung34-keda", bare)}
    assert bare.start("settings", "--json").wait() == 0, bare.output
    told = json.loads(bare.output)
    rows = told["settings"]
    assert rows["GITHUB_URL"] == {"value": SHOP, "from": "REPO_URL"}
    assert rows["GITHUB_PERSONAL_TOKEN"] == {"value": "set", "from": "ACCESS_TOKEN"}
    assert rows["RUNNER_LABELS"] == {"value": "e2etester", "from": "LABELS"}
    assert rows["RUNNER_EPHEMERAL"] == {"value": "1", "from": "EPHEMERAL"}
    assert rows["RUNNER_HOME"]["from"] == "environment"
    assert rows["RUNNER_SUDO"] == {"value": "1", "from": "default"}
    assert told["recognised"].startswith("configured for myoung34")
    assert TOKEN not in bare.output


def test_settings_of_files(life: Life) -> None:
    """`settings` names the env file and a secret's file, and deletes neither."""
    env_file, secret = life.directory / "env", life.directory / "token"
    env_file.write_text("RUNNER_LABELS=gpu\n")
    secret.write_text(TOKEN)
    for path in (env_file, secret):
        path.chmod(0o600)
    life.env |= {"GITHUB_PERSONAL_TOKEN": "", "GITHUB_PERSONAL_TOKEN_FILE": str(secret)}
    assert life.start("settings", RUNNER_ENVFILE=str(env_file)).wait() == 0, life.output
    assert re.search(r"RUNNER_LABELS +gpu +env file\n", life.output)
    assert re.search(rf"GITHUB_PERSONAL_TOKEN +set +file {secret}\n", life.output)
    assert env_file.exists()
    assert secret.exists()
