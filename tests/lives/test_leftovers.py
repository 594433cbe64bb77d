"""A container that is started again after it was killed."""

from __future__ import annotations

import os
import subprocess

import pytest

from simulator import Simulator
from tests.support.life import NAMESPACE, Life


def test_runner_of_a_killed_start_is_removed(life: Life, simulator: Simulator) -> None:
    """After `docker kill` and `docker start` GitHub lists one runner, the one that lives."""
    life.start()
    simulator.wait_for("listening")
    [first] = simulator.runners()
    life.end()
    seen = simulator.last_event()
    life.start()
    simulator.wait_for("runner_removed", after=seen)
    simulator.wait_for("listening", after=seen)
    [second] = simulator.runners()
    assert second["name"] != first["name"]
    assert "cleared what an earlier start has left: .runner" in life.output


def test_what_a_living_runner_has_made_is_not_left(life: Life, simulator: Simulator) -> None:
    """A second gh-runner in the container, or on the same volume, removes no living runner."""
    life.start()
    simulator.wait_for("listening")
    second = subprocess.run(
        [*NAMESPACE, *life.program], env=life.env, capture_output=True, check=False
    )
    assert second.returncode == 78
    assert f"another gh-runner is at work in {life.home}" in second.stdout.decode()
    job = simulator.queue_job(":")
    assert life.wait() == 0
    assert simulator.job(job["id"])["result"] == "succeeded"


def test_worker_folders_are_cleared_and_all_else_is_kept(life: Life, simulator: Simulator) -> None:
    """Only the worker's own folders are cleared; check-outs, tools and other files stay."""
    work = life.home / "_work"
    for name in ("_temp", "_actions", "_tool", "shop"):
        (work / name).mkdir(parents=True)
        (work / name / "file").touch()
    work.chmod(0o777)
    simulator.queue_job(":")
    assert life.start().wait() == 0
    assert (work / "_tool/file").exists()
    assert (work / "shop/file").exists()
    assert not (work / "_actions/file").exists()
    assert not (work / "_temp/file").exists()


def test_symbolic_link_in_the_work_folder_is_not_followed(life: Life, simulator: Simulator) -> None:
    """A link that a job put in place of such a folder is not followed."""
    precious = life.directory / "precious"
    precious.mkdir()
    (precious / "file").touch()
    (life.home / "_work").mkdir()
    (life.home / "_work").chmod(0o777)
    (life.home / "_work/_actions").symlink_to(precious)
    simulator.queue_job(":")
    assert life.start().wait() == 0
    assert (precious / "file").exists()


def test_mount_below_a_worker_folder_is_not_entered(life: Life, simulator: Simulator) -> None:
    """A cache that is mounted into such a folder keeps its files."""
    cache, place = life.directory / "cache with spaces", life.home / "_work/_temp/cache \\"
    cache.mkdir()
    (cache / "file").touch()
    place.mkdir(parents=True)
    (life.home / "_work").chmod(0o777)
    mount = f"mount --bind '{cache}' '{place}'"
    life.start(namespace=[*NAMESPACE, "sh", "-c", f'{mount} && exec "$0" "$@"'])
    simulator.wait_for("session_opened")
    assert (cache / "file").exists()


def test_record_in_the_way_is_told(life: Life, simulator: Simulator) -> None:
    """A file that cannot be deleted is named before GitHub has registered a runner."""
    (life.home / ".runner").mkdir()
    assert life.start().wait() == 78
    assert f"{life.home}/.runner is in the way" in life.error()
    assert simulator.runners() == []


@pytest.mark.parametrize("number", ['"x"', "null", "-1", '"\u00b2"'])
def test_record_that_makes_no_sense(life: Life, simulator: Simulator, number: str) -> None:
    """A record that a job has changed is deleted, and names no runner."""
    (life.home / ".runner").write_text(f'{{"agentId": {number}, "agentName": "r-1"}}')
    simulator.queue_job(":")
    assert life.start().wait() == 0


def test_record_that_is_no_file(life: Life, simulator: Simulator) -> None:
    """A FIFO in the record's place does not hold up the start."""
    os.mkfifo(life.home / ".runner")
    simulator.queue_job(":")
    assert life.start().wait() == 0
