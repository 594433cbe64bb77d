"""A runner's life in a real virtual machine with our image as its root; a file stops it.

What matters here QEMU has in common with krun: a kernel of its own, a folder shared by virtiofs,
which reports no new file to programs inside, and no way to send a signal.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from krunpool.folder import Folder

from simulator import Distribution, Simulator
from tests.deploy.conftest import MAKE_SECONDS
from tests.deploy.guest import cache
from tests.deploy.vm import machine
from tests.deploy.vm.init import GATEWAY
from tests.deploy.vm.machine import Machine
from tests.image.conftest import WORK, alone, base, operating_system, slim
from tests.image.engine import Engine
from tests.image.mirror import mirror
from tests.support.life import until

pytestmark = [pytest.mark.exhaustive, pytest.mark.image, pytest.mark.timeout(MAKE_SECONDS)]
SECRET = "correct-horse-battery"
TOKEN = "ghp_simulator"
BOOT_SECONDS = 300  # a machine without KVM on a loaded host; 10 s on an idle one


@dataclass(frozen=True)
class Disk:
    """The kernel and the root of every machine."""

    kernel: Path
    root: Path


@pytest.fixture(scope="module")
def hub() -> Iterator[Simulator]:
    """A GitHub on the host's loopback interface, which guests of QEMU's network reach."""
    with Simulator() as running:
        yield running


@pytest.fixture(scope="module")
def disk(
    docker: Engine, hub: Simulator, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Disk]:
    """The kernel, and our image as an initial RAM disk."""
    if os.uname().machine != "x86_64" or shutil.which("qemu-system-x86_64") is None:
        pytest.skip("QEMU for x86_64 is not here")
    directory = tmp_path_factory.mktemp("vm")
    with alone(), mirror(WORK) as releases:
        image = slim(docker, base(docker, operating_system(docker), "slim"), releases)
        url = f"http://{GATEWAY}:{urlsplit(hub.url).port}"
        times = Distribution.scaled(url, 0, cancel_scale=1)
        (directory / "simulator.json").write_text(json.dumps(asdict(times)))
        (directory / "Dockerfile").write_text(
            f"FROM {image}\nCOPY simulator.json /home/runner/bin/simulator.json\n"
        )
        tag = "gh-runner-test:vm"
        done = docker.build(tag, context=directory)
        assert done.returncode == 0, done.stdout
        kernel = machine.kernel(cache())
        root = machine.root(docker, tag, kernel, directory)
    yield Disk(kernel, root)
    shutil.rmtree(directory)


@pytest.fixture
def folder(hub: Simulator, tmp_path: Path) -> Folder:
    """The folder of one machine, as the orchestrator makes it; GitHub has no runners."""
    hub.reset()
    made = Folder(tmp_path / "vm")
    settings = {
        "RUNNER_NAME": "vm",
        "GITHUB_URL": "https://github.com/acme/shop",
        "GITHUB_API_URL": f"http://{GATEWAY}:{urlsplit(hub.url).port}",
        "GITHUB_ALLOW_HTTP": "1",
        "GITHUB_PERSONAL_TOKEN": TOKEN,
        "RUNNER_ENGINE": "none",
        "RUNNER_STOP_FILE": "/gh-runner/stop",
        "RUNNER_STOP_SECRET": SECRET,
        "RUNNER_STOP_TIMEOUT": "120",  # an emulated processor is slow
        "RUNNER_LOG_LEVEL": "debug",
    }
    made.make(settings, SECRET)
    return made


def add(folder: Folder, **settings: str) -> None:
    """Add settings to the env file."""
    with (folder.shared / "runner.env").open("a") as file:
        file.writelines(f"{name}={value}\n" for name, value in settings.items())


def listening(vm: Machine, folder: Folder) -> None:
    """Wait until its runner listens; if it does not, the error has the console's output."""
    until(lambda: folder.phase() == "listening" or not vm.is_on, BOOT_SECONDS)
    assert vm.is_on, vm.console[-3000:]


def completed(vm: Machine, hub: Simulator, job_id: str) -> None:
    """Wait until a job is over; if it does not end, the error has the console's output."""
    try:
        hub.wait_for("job_completed", job_id=job_id, timeout=BOOT_SECONDS)
    except TimeoutError:
        raise AssertionError(f"{hub.job(job_id)}\n{vm.console[-6000:]}") from None


@pytest.mark.parametrize("parameters", [(), ("POWER_OFF=1",)], ids=["PID 1", "below an init"])
def test_a_life(disk: Disk, hub: Simulator, folder: Folder, parameters: tuple[str, ...]) -> None:
    """A runner does a job, is idle again, ends at the stop file with 143; the machine is off."""
    add(folder, RUNNER_EPHEMERAL="0")
    with machine.machine(disk.kernel, disk.root, folder.shared, *parameters) as vm:
        listening(vm, folder)
        assert not (folder.shared / "runner.env").exists()
        job = hub.queue_job("uname -r; sudo grep -rlsa 'gh[p]_' /gh-runner /proc/*/environ; echo")
        completed(vm, hub, job["id"])
        assert hub.job(job["id"])["log"].split() == [disk.kernel.name.removeprefix("linux-image-")]
        assert len(hub.runners()) == 1
        folder.ask_to_stop()
        assert vm.wait() == 143, vm.console[-3000:]
    assert hub.runners() == []
    assert folder.phase() == "gone"
    assert not (folder.shared / "stop").exists()


def test_an_ephemeral_job(disk: Disk, hub: Simulator, folder: Folder) -> None:
    """After its one job the machine switches itself off, with exit code 0."""
    job = hub.queue_job("echo hello")
    with machine.machine(disk.kernel, disk.root, folder.shared) as vm:
        assert vm.wait(BOOT_SECONDS) == 0, vm.console[-3000:]
    assert hub.job(job["id"])["result"] == "succeeded"
    assert hub.runners() == []


def test_a_stop_in_a_job(disk: Disk, hub: Simulator, folder: Folder) -> None:
    """The stop file cancels the job, which is reported."""
    add(folder, RUNNER_CANCEL_TIMEOUT="1")
    job = hub.queue_job("echo begun; sleep 60")
    with machine.machine(disk.kernel, disk.root, folder.shared) as vm:
        hub.wait_for("job_output", timeout=BOOT_SECONDS)
        folder.ask_to_stop()
        assert vm.wait() == 143, vm.console[-3000:]
    assert hub.job(job["id"])["status"] == "completed"
    assert hub.runners() == []


def test_a_wrong_secret(disk: Disk, hub: Simulator, folder: Folder) -> None:
    """A stop file that a job writes does not stop the runner; the host's file does."""
    add(folder, RUNNER_EPHEMERAL="0")
    with machine.machine(disk.kernel, disk.root, folder.shared) as vm:
        listening(vm, folder)
        job = hub.queue_job("sudo sh -c 'echo guess >/gh-runner/stop'")
        completed(vm, hub, job["id"])
        until(lambda: "RUNNER_STOP_FILE is ignored" in vm.console)
        assert folder.phase() == "listening"
        folder.ask_to_stop()
        assert vm.wait() == 143, vm.console[-3000:]
    assert hub.runners() == []
