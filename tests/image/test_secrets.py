"""What a job can find of the credential, as its own user and as root by sudo."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from simulator import Simulator
from tests.image.conftest import StartRunner
from tests.image.engine import Container
from tests.life import until

SECRET = "ghp_simulatorsecret"
SEARCH = Path(__file__).parent / "search.py"
AS = pytest.mark.parametrize("prefix", ["", "sudo "], ids=["runner", "root"])


def begin(start: StartRunner, github: Simulator) -> Container:
    """Start a runner that waits for a job while a health check goes on."""
    github.add_credential(SECRET, kind="classic", scopes=["repo"], access=["acme"])
    container = start(
        *("--health-cmd", "sleep 60", "--health-interval", "1s", "--health-timeout", "60s"),
        *("--volume", f"{SEARCH}:/search.py:ro"),
        GITHUB_PERSONAL_TOKEN=SECRET,
    )
    github.wait_for("session_opened")
    until(lambda: sleeping(container) > 0)
    return container


def sleeping(container: Container) -> int:
    """Return how many `sleep 60` there are."""
    return sum(process.endswith("sleep 60") for process in container.processes())


def search(prefix: str, github: Simulator, container: Container) -> str:
    """Let a job look for the secret, and return what it says."""
    encoded = base64.b64encode(SECRET.encode()).decode()
    job = github.queue_job(f"{prefix}python3 -I /search.py {encoded}")
    assert container.wait() == 0, container.logs()
    log = str(github.job(job["id"])["log"])
    assert "looked everywhere" in log, log
    return log


@AS
def test_job_finds_no_credential(prefix: str, start: StartRunner, github: Simulator) -> None:
    """A job finds the secret of --env-file in no process and no file, whoever else runs there."""
    container = begin(start, github)
    before = sleeping(container)
    container.execute("sleep", "60", options=["--detach"])
    until(lambda: sleeping(container) > before)
    assert "FOUND" not in search(prefix, github, container)


@pytest.mark.parametrize(
    ("prefix", "options", "weaken"),
    [
        ("", ["--user", "runner"], []),
        ("sudo ", [], ["setpriv", "--bounding-set=-setpcap"]),
    ],
    ids=["runner", "root"],
)
def test_search_is_not_blind(
    prefix: str, options: list[str], weaken: list[str], start: StartRunner, github: Simulator
) -> None:
    """What `docker exec` starts with no more power than the job has is found out."""
    container = begin(start, github)
    before = sleeping(container)
    container.execute(*weaken, "sleep", "60", options=["--detach", *options])
    until(lambda: sleeping(container) > before)
    assert "/environ" in search(prefix, github, container)
