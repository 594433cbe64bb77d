"""A stop by file does what a signal would do, for machines that no signal reaches."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from simulator import Simulator
from tests.support.life import Life, until

SECRET = "correct-horse"


@pytest.fixture
def shared(life: Life) -> Path:
    """The folder that the container and its host share."""
    folder = life.directory / "shared"
    folder.mkdir()
    life.env |= {"RUNNER_STOP_FILE": f"{folder}/stop", "RUNNER_STOP_SECRET": SECRET}
    return folder


def ask(folder: Path, secret: str = SECRET) -> None:
    """Make the stop file in one step."""
    new = folder / "new"
    new.write_text(f"{secret}\n")
    new.rename(folder / "stop")


def forks(life: Life) -> list[int]:
    """Return the children of PID 1 that still run our program, without the one of the log."""
    ours = Path(f"/proc/{life.pid_1}/cmdline").read_bytes()
    until(lambda: "gh-runner-log" in life.inside().values())
    found = life.inside().items()
    others = [pid for pid, name in found if pid != life.pid_1 and name != "gh-runner-log"]
    return [pid for pid in others if Path(f"/proc/{pid}/cmdline").read_bytes() == ours]


def test_an_idle_runner_stops(life: Life, simulator: Simulator, shared: Path) -> None:
    """The file with the secret works like SIGTERM: 143, off the list, and the file is gone."""
    life.start()
    simulator.wait_for("listening")
    ask(shared)
    assert life.wait() == 143
    assert simulator.runners() == []
    assert list(shared.iterdir()) == []
    assert "a stop by file" in life.output


def test_a_job_is_cancelled(life: Life, simulator: Simulator, shared: Path) -> None:
    """During a job the file cancels the job, which is reported."""
    job = simulator.queue_job("echo begun; sleep 60")
    life.start(RUNNER_CANCEL_TIMEOUT="0.1")
    simulator.wait_for("job_output", text="begun")
    ask(shared)
    assert life.wait() == 143
    assert simulator.job(job["id"])["status"] == "completed"
    assert simulator.runners() == []


def test_a_second_file_hurries(life: Life, simulator: Simulator, shared: Path) -> None:
    """A second file works like a second SIGTERM: it ends the drain."""
    job = simulator.queue_job("echo begun; sleep 60")
    life.start(RUNNER_DRAIN_TIMEOUT="50", RUNNER_CANCEL_TIMEOUT="0.1")
    simulator.wait_for("job_output", text="begun")
    ask(shared)
    until(lambda: "a job is running and may end" in life.output)
    ask(shared)
    assert life.wait() == 143
    assert simulator.job(job["id"])["status"] == "completed"


def test_it_stops_a_registration(life: Life, simulator: Simulator, shared: Path) -> None:
    """The file works before the runner listens; it may even exist before the start."""
    simulator.fault(path="/registration-token", hang=True)
    ask(shared)
    assert life.start().wait(10) == 143
    assert simulator.runners() == []


@pytest.mark.usefixtures("shared")
def test_the_credential_is_in_no_process(life: Life, simulator: Simulator) -> None:
    """The child that looks for the file has no vault open and no secret in its environment."""
    life.start()
    simulator.wait_for("listening")
    for pid in life.inside():
        environ = Path(f"/proc/{pid}/environ").read_bytes()
        assert SECRET.encode() not in environ
    lookers = forks(life)
    assert lookers
    for pid in lookers:
        descriptors = {link.name for link in Path(f"/proc/{pid}/fd").iterdir()}
        assert descriptors <= {"0", "1", "2"}


WRONG: dict[str, Callable[[Path], object]] = {
    "another secret": lambda path: path.write_text("battery-staple"),
    "nothing": lambda path: path.write_text(""),
    "the secret and more": lambda path: path.write_text(f"{SECRET}\n{SECRET}"),
    "a link to it": lambda path: path.symlink_to(path.with_name("secret")),
    "a FIFO": os.mkfifo,
    "a folder": Path.mkdir,
}


@pytest.mark.parametrize("make", WRONG.values(), ids=WRONG)
def test_any_other_file_is_ignored(
    life: Life, simulator: Simulator, shared: Path, make: Callable[[Path], object]
) -> None:
    """A file without the secret, or one that is no plain file, is ignored with one warning."""
    shared.joinpath("secret").write_text(SECRET)
    life.start()
    simulator.wait_for("listening")
    make(shared / "stop")
    until(lambda: "RUNNER_STOP_FILE is ignored" in life.output)
    job = simulator.queue_job(":")  # the runner still works
    simulator.wait_for("job_completed", job_id=job["id"])
    assert life.wait() == 0
    assert life.output.count("RUNNER_STOP_FILE is ignored") == 1


def test_a_wrong_file_does_not_hide_the_right_one(
    life: Life, simulator: Simulator, shared: Path
) -> None:
    """After a wrong secret a file with the right one still stops the runner."""
    life.start()
    simulator.wait_for("listening")
    ask(shared, "wrong")
    until(lambda: "RUNNER_STOP_FILE is ignored" in life.output)
    ask(shared)
    assert life.wait() == 143


def test_a_folder_that_goes_is_told_once(life: Life, simulator: Simulator, shared: Path) -> None:
    """If the folder is gone, one warning says so; the runner goes on, and signals still work."""
    life.start()
    simulator.wait_for("listening")
    shared.rmdir()
    until(lambda: "the folder of RUNNER_STOP_FILE is gone" in life.output)
    life.signal(signal.SIGTERM)
    assert life.wait() == 143
    assert life.output.count("the folder of RUNNER_STOP_FILE is gone") == 1


def test_a_killed_child_is_replaced(life: Life, simulator: Simulator, shared: Path) -> None:
    """The child that looks for the file is replaced if a job or the kernel has killed it."""
    life.start()
    simulator.wait_for("listening")
    (first,) = forks(life)
    os.kill(first, signal.SIGKILL)
    until(lambda: forks(life) and forks(life) != [first])
    ask(shared)
    assert life.wait() == 143
    assert simulator.runners() == []


@pytest.mark.usefixtures("shared")
def test_a_job_that_kills_it_again_and_again(life: Life, simulator: Simulator) -> None:
    """After some kills the child is no longer replaced, and the job is still done."""
    life.start()
    simulator.wait_for("listening")
    while found := forks(life):
        for pid in found:
            os.kill(pid, signal.SIGKILL)
        until(lambda pid=found[0]: not os.path.exists(f"/proc/{pid}"))
    assert "was killed too often" in life.output
    simulator.queue_job(":")
    assert life.wait() == 0


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"RUNNER_STOP_SECRET": ""}, "RUNNER_STOP_SECRET: is missing"),
        ({"RUNNER_STOP_FILE": ""}, "RUNNER_STOP_FILE: is missing"),
        ({"RUNNER_STOP_SECRET": "short"}, "has fewer than 8 characters"),
        ({"RUNNER_STOP_FILE": "/nowhere/stop"}, "there is no folder /nowhere"),
        ({"RUNNER_STOP_FILE": "stop"}, "is not an absolute path"),
    ],
)
def test_half_a_setting_is_refused(
    life: Life, shared: Path, settings: dict[str, str], said: str
) -> None:
    """A stop file without a secret, or in a folder that anybody can write to, is refused."""
    assert shared.is_dir()
    life.env |= settings
    assert life.start().wait() == 78
    assert said in life.error()
