"""`gh-runner jit`: a launcher keeps the credential, and each container is a runner only once."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from simulator import Simulator
from tests.support.life import Life


def jit(life: Life, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run the command with a life's settings."""
    return subprocess.run(
        [sys.executable, "-I", "-m", "entrypoint", "jit", *words],
        env={**life.env, **env},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_container_takes_what_it_prints(life: Life, simulator: Simulator) -> None:
    """Stdout has the JIT configuration only, which is all that a container needs."""
    made = jit(life)
    assert made.returncode == 0, made.stderr
    job = simulator.queue_job("exit 0")
    for name in [n for n in life.env if n.startswith("GITHUB_")] + ["RUNNER_NAME"]:
        life.env.pop(name)
    assert life.start(RUNNER_JITCONFIG=made.stdout.strip()).wait() == 0, life.output
    assert simulator.job(job["id"])["result"] == "succeeded"


def test_a_file_for_its_owner_alone(life: Life, simulator: Simulator, tmp_path: Path) -> None:
    """The file has mode 0600 and also id and name; --remove deletes the runner."""
    file = tmp_path / "jit.json"
    made = jit(life, "--output", str(file), "--json")
    assert (made.returncode, made.stdout) == (0, "")
    assert file.stat().st_mode & 0o777 == 0o600
    found = json.loads(file.read_text())
    assert [r["id"] for r in simulator.runners()] == [found["id"]]
    assert found["name"].startswith("r-")
    assert jit(life, "--remove", str(found["id"])).returncode == 0
    assert simulator.runners() == []


def test_no_file_no_runner(life: Life, simulator: Simulator, tmp_path: Path) -> None:
    """If the file exists, it is not overwritten, and nothing is registered."""
    file = tmp_path / "jit"
    file.write_text("precious")
    assert jit(life, "--output", str(file)).returncode == 78
    assert file.read_text() == "precious"
    assert simulator.runners() == []


def test_a_full_disk_leaves_no_runner(life: Life, simulator: Simulator) -> None:
    """If the configuration cannot be written, its runner is removed again."""
    words = [sys.executable, "-I", "-m", "entrypoint", "jit"]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(words, env=life.env, stdout=full, check=False)
    assert done.returncode == 78
    assert simulator.runners() == []


def test_a_refusal_leaves_no_file(life: Life, tmp_path: Path) -> None:
    """After a refusal there is no file, not even an empty one; the exit code tells the reason."""
    file = tmp_path / "jit"
    refused = jit(life, "--output", str(file), GITHUB_PERSONAL_TOKEN="ghp_unknown0000")
    assert refused.returncode == 77
    assert not file.exists()


def test_a_registration_token_makes_none(life: Life) -> None:
    """GitHub makes a JIT configuration for a personal access token or an App only."""
    done = jit(life, GITHUB_PERSONAL_TOKEN="", RUNNER_TOKEN="A" * 29)
    assert done.returncode == 78
