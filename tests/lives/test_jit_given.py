"""A JIT configuration from a controller: the container is that runner, and never deletes it."""

from __future__ import annotations

import base64
import http.client
import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from simulator import Simulator
from tests.support.life import TOKEN, Life, until

NAMES = ["RUNNER_JITCONFIG", "ACTIONS_RUNNER_INPUT_JITCONFIG"]


def ask(simulator: Simulator, method: str, path: str, body: Any = None) -> Any:
    """Call the API as a controller does; return the decoded answer."""
    connection = http.client.HTTPConnection(urlsplit(simulator.url).netloc)
    headers = {"Authorization": f"Bearer {TOKEN}", "User-Agent": "controller"}
    connection.request(method, path, json.dumps(body) if body else None, headers)
    answer = connection.getresponse().read()
    connection.close()
    return json.loads(answer) if answer else None


def configuration(simulator: Simulator, name: str = "given-1") -> tuple[int, str]:
    """Register a runner as a controller does; return its id and its JIT configuration."""
    labels = ["self-hosted", "Linux", "X64"]
    wanted = {"name": name, "runner_group_id": 1, "labels": labels, "work_folder": "_work"}
    path = "/repos/acme/shop/actions/runners/generate-jitconfig"
    made = ask(simulator, "POST", path, wanted)
    return made["runner"]["id"], made["encoded_jit_config"]


def start(life: Life, **env: str) -> Life:
    """Start a container that has a JIT configuration and nothing else."""
    for name in [n for n in life.env if n.startswith("GITHUB_")] + ["RUNNER_NAME"]:
        life.env.pop(name)
    life.env |= env
    return life.start()


@pytest.mark.parametrize("variable", NAMES)
def test_it_takes_its_job(life: Life, simulator: Simulator, variable: str) -> None:
    """The runner does one job and ends with 0; gh-runner sends no request to GitHub's API."""
    _, encoded = configuration(simulator)
    last = len(simulator.requests())
    job = simulator.queue_job("env; cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline | tr '\\0' ' '")
    assert start(life, **{variable: encoded}).wait() == 0, life.output
    done = simulator.job(job["id"])
    assert done["result"] == "succeeded"
    assert encoded not in done["log"]
    assert encoded not in life.output
    ours = [r for r in simulator.requests()[last:] if r["user_agent"] == "gh-runner"]
    assert ours == []
    assert "off GitHub's list" not in life.output


def test_it_comes_in_a_file(life: Life, simulator: Simulator) -> None:
    """The file of RUNNER_JITCONFIG_FILE is deleted like that of any secret."""
    _, encoded = configuration(simulator)
    simulator.queue_job("exit 0")
    file = life.directory / "jit"
    file.write_text(encoded + "\n")
    file.chmod(0o600)
    assert start(life, RUNNER_JITCONFIG_FILE=str(file), RUNNER_SUDO="0").wait() == 0, life.output


def test_idle_stop_leaves_it_to_its_maker(life: Life, simulator: Simulator) -> None:
    """A stop leaves the idle runner on the list, and no message says otherwise."""
    number, encoded = configuration(simulator)
    start(life, RUNNER_JITCONFIG=encoded)
    simulator.wait_for("session_opened")
    assert life.signal().wait() == 143
    assert [runner["id"] for runner in simulator.runners()] == [number]
    assert "left to its maker" in life.output


def test_idle_time_out_leaves_it_to_its_maker(life: Life, simulator: Simulator) -> None:
    """A runner that got no job leaves with 0, and stays registered."""
    number, encoded = configuration(simulator)
    assert start(life, RUNNER_JITCONFIG=encoded, RUNNER_IDLE_TIMEOUT="0.5").wait() == 0
    assert [runner["id"] for runner in simulator.runners()] == [number]


def test_stop_in_a_job_cancels_it(life: Life, simulator: Simulator) -> None:
    """A stop cancels and reports the job, as with any runner."""
    _, encoded = configuration(simulator)
    job = simulator.queue_job("echo begun; sleep 60")
    start(life, RUNNER_JITCONFIG=encoded, RUNNER_CANCEL_TIMEOUT="0.2")
    simulator.wait_for("job_output", text="begun")
    assert life.signal().wait() == 143
    assert simulator.job(job["id"])["status"] == "completed"


def test_second_stop_as_a_job_arrives(new_life: Callable[..., Life], simulator: Simulator) -> None:
    """A second signal does not end the second in which the job's worker is awaited."""
    life = new_life(worker_start=0.5)
    _, encoded = configuration(simulator)
    job = simulator.queue_job("sleep 60")
    start(life, RUNNER_JITCONFIG=encoded, RUNNER_CANCEL_TIMEOUT="0.2")
    simulator.wait_for("job_acquired")
    life.signal()
    until(lambda: "stop.requested" in life.output)
    assert life.signal(signal.SIGINT).wait() == 143, life.output
    assert simulator.job(job["id"])["result"] == "failed"


def test_used_one_ends_at_once(life: Life, simulator: Simulator) -> None:
    """If the registration is gone, the life ends at once, and says why."""
    number, encoded = configuration(simulator)
    ask(simulator, "DELETE", f"/repos/acme/shop/actions/runners/{number}")
    assert start(life, RUNNER_JITCONFIG=encoded).wait() == 0, life.output
    assert "used up or gone" in life.output


def test_removed_while_idle(life: Life, simulator: Simulator) -> None:
    """A controller removes the registration before it sends SIGTERM."""
    number, encoded = configuration(simulator)
    start(life, RUNNER_JITCONFIG=encoded)
    simulator.wait_for("session_opened")
    ask(simulator, "DELETE", f"/repos/acme/shop/actions/runners/{number}")
    assert life.signal().wait() == 143


def packed(**files: str) -> str:
    """Return a JIT configuration with these files."""
    names = {name.replace("_", ".", 1): text for name, text in files.items()}
    coded = {name: base64.b64encode(text.encode()).decode() for name, text in names.items()}
    return base64.b64encode(json.dumps(coded).encode()).decode()


WHOLE = {"_runner": "{}", "_credentials": '{"a": 1}', "_credentials_rsaparams": '{"a": 1}'}
BAD = {
    "no base64": ("§" * 40, "is no JIT configuration"),
    "no JSON": (base64.b64encode(b"hello world, this is it").decode(), "is no JIT configuration"),
    "a list": (base64.b64encode(b'["secretly"]').decode(), "is no JIT configuration"),
    "cut": (packed(**WHOLE)[:-7], "is no JIT configuration"),
    "a file is missing": (packed(_runner="{}"), "lacks .credentials"),
    "a path": (packed(**WHOLE, **{"_/../../etc/cron.d/x": "x"}), "other files"),
    "another GitHub": (
        packed(**{**WHOLE, "_runner": '{"AgentId": "1", "AgentName": "n"}'}),
        "which GitHub",
    ),
    "in clear text": (
        packed(
            **{
                **WHOLE,
                "_runner": '{"AgentId": "1", "AgentName": "n", "GitHubUrl": "http://github.com/o"}',
            }
        ),
        "RUNNER_JITCONFIG: the credential would be sent unencrypted",
    ),
    "too large": ("A" * 100_000, "100000 characters"),
}


@pytest.mark.parametrize("case", BAD.values(), ids=BAD)
def test_bad_ones_are_told_and_not_shown(life: Life, case: tuple[str, str]) -> None:
    """A bad configuration ends with 78 and one line that shows nothing of it."""
    encoded, said = case
    assert start(life, RUNNER_JITCONFIG=encoded).wait() == 78
    assert said in life.error(), life.output
    assert encoded[:12] not in life.output


def test_what_contradicts_it_is_named(life: Life, simulator: Simulator) -> None:
    """The controller has chosen labels and owner; each variable that sets one is reported."""
    _, encoded = configuration(simulator)
    given = {"RUNNER_LABELS": "gpu", "GITHUB_OWNER": "acme", "GITHUB_PERSONAL_TOKEN": TOKEN}
    assert start(life, RUNNER_JITCONFIG=encoded, **given).wait() == 78
    assert all(name in life.error() for name in given)


def test_files_are_the_runner_s_alone(life: Life, simulator: Simulator) -> None:
    """The three files have mode 0600 and belong to the runner's user."""
    _, encoded = configuration(simulator)
    start(life, RUNNER_JITCONFIG=encoded)
    simulator.wait_for("session_opened")
    for name in (".runner", ".credentials", ".credentials_rsaparams"):
        found = Path(life.home / name).stat()
        assert (found.st_mode & 0o777, found.st_uid) == (0o600, 65534)
    life.signal().wait()
