"""What a job can find of the credential, as its own user and as root by sudo."""

from __future__ import annotations

from pathlib import Path

import pytest

from simulator import Simulator
from tests.image.conftest import StartRunner
from tests.image.engine import Container
from tests.life import until
from tests.probe import cage, probe

SECRET = "ghp_simulatorsecret"
DIRECTORIES = "/dev/shm /etc /home /opt /root /run /tmp /var"


def begin(start: StartRunner, github: Simulator, directory: Path) -> Container:
    """Start a runner that waits for a job while a health check goes on."""
    github.add_credential(SECRET, kind="classic", scopes=["repo"], access=["acme"])
    needles = directory / "needles"
    probe.write(str(needles), {"token": SECRET})
    container = start(
        *("--health-cmd", "sleep 60", "--health-interval", "1s", "--health-timeout", "60s"),
        *("--volume", f"{probe.__file__}:/probe.py:ro", "--volume", f"{needles}:/needles:ro"),
        GITHUB_PERSONAL_TOKEN=SECRET,
    )
    github.wait_for("session_opened")
    until(lambda: sleeping(container) > 0)
    return container


def sleeping(container: Container) -> int:
    """Return how many `sleep 60` there are."""
    return sum(process.endswith("sleep 60") for process in container.processes())


def look(prefix: str, github: Simulator, container: Container) -> cage.Result:
    """Let a job look for the secret, and return what it found."""
    job = github.queue_job(f"{prefix}python3 -I /probe.py /needles {DIRECTORIES}")
    assert container.wait() == 0, container.logs()
    (result,) = cage.results(github.job(job["id"])["log"])
    assert result.uid == (0 if prefix else 1001)
    assert {"environ", "cmdline", "file"} <= result.looked.keys()
    return result


@pytest.mark.parametrize("prefix", ["", "sudo "], ids=["runner", "root"])
def test_job_finds_no_credential(
    prefix: str, start: StartRunner, github: Simulator, tmp_path: Path
) -> None:
    """A job finds the secret of --env-file in no process and no file, whoever else runs there."""
    container = begin(start, github, tmp_path)
    before = sleeping(container)
    container.execute("sleep", "60", options=["--detach"])
    until(lambda: sleeping(container) > before)
    assert look(prefix, github, container).found == set()


@pytest.mark.parametrize(
    ("prefix", "options", "weaken"),
    [
        ("", ["--user", "runner"], []),
        ("sudo ", [], ["setpriv", "--bounding-set=-setpcap"]),
    ],
    ids=["runner", "root"],
)
def test_probe_is_not_blind(
    prefix: str,
    options: list[str],
    weaken: list[str],
    start: StartRunner,
    github: Simulator,
    tmp_path: Path,
) -> None:
    """What `docker exec` starts with no more power than the job has is found out."""
    container = begin(start, github, tmp_path)
    before = sleeping(container)
    container.execute(*weaken, "sleep", "60", options=["--detach", *options])
    until(lambda: sleeping(container) > before)
    assert ("token", "environ of sleep") in look(prefix, github, container).found
