"""deploy/krun/orchestrator with podman and our image, and with runc in krun's place.

So there is no microVM here; test_krun_vm.py has one.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from simulator import Distribution, Simulator
from tests.deploy.conftest import MAKE_SECONDS
from tests.deploy.look import LOOK, assert_nothing_found
from tests.deploy.pools import listening
from tests.image.conftest import CONFIGURATION as SIMULATOR_JSON
from tests.image.conftest import WORK, alone, base, operating_system, slim
from tests.image.engine import ROOT, Engine
from tests.image.mirror import mirror
from tests.image.test_podman import CONFIGURATION
from tests.support.life import until

pytestmark = [pytest.mark.image, pytest.mark.timeout(MAKE_SECONDS)]
ORCHESTRATOR = ROOT / "deploy/krun/orchestrator"
IMAGE = "localhost/gh-runner-test:krun"
TOKEN = "ghp_simulator"


@pytest.fixture(scope="module")
def podman(docker: Engine, tmp_path_factory: pytest.TempPathFactory) -> Engine:
    """The podman command, with our image in its store."""
    if shutil.which("podman") is None:
        pytest.skip("there is no podman")
    configuration = tmp_path_factory.mktemp("podman") / "containers.conf"
    configuration.write_text(CONFIGURATION)
    engine = Engine("podman", {"CONTAINERS_CONF": str(configuration)})
    with alone(), mirror(WORK) as releases:
        built = slim(docker, base(docker, operating_system(docker), "slim"), releases)
        docker("tag", built, "gh-runner-test:krun")
        command = [docker.program, "save", "gh-runner-test:krun"]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as saved:
            engine("load", stdin=saved.stdout)
    return engine


@pytest.fixture(scope="module")
def hub(docker: Engine) -> Iterator[Simulator]:
    """A GitHub at an address of the host that podman's containers reach."""
    name = f"gh-runner-test-krun-{os.getpid()}"
    docker("network", "create", name)
    bridge: list[dict[str, Any]] = json.loads(docker("network", "inspect", name))
    with Simulator("--host", bridge[0]["IPAM"]["Config"][0]["Gateway"]) as running:
        yield running
    docker("network", "rm", name)


class Pool:
    """The orchestrator with podman and runc."""

    def __init__(self, podman: Engine, hub: Simulator, directory: Path) -> None:
        """Prepare it; the simulated runner is fast, except when a job is cancelled."""
        self._podman, self.hub, self.directory = podman, hub, directory
        self._process: subprocess.Popen[bytes] | None = None
        times = asdict(Distribution.scaled(hub.url, 0, cancel_scale=1))
        (directory / "simulator.json").write_text(json.dumps(times))
        (directory / "token").write_text(TOKEN)
        self.prefix = f"krun-{os.getpid()}-{directory.name[-8:]}"

    def start(
        self,
        *words: str,
        runner: tuple[str, ...] = (),
        env: Mapping[str, str] = MappingProxyType({}),
    ) -> Pool:
        """Start it; `runner` are words after the --."""
        ours = ["-R", "podman+runc", "-p", self.prefix, "-d", f"{self.directory}/shared", "-v"]
        theirs = ["-i", IMAGE, "-p", "acme/shop", "-T", f"@{self.directory}/token", "-d", ""]
        theirs += ["-M", f"{self.directory}/simulator.json:{SIMULATOR_JSON}:ro"]
        settings = {"GITHUB_API_URL": self.hub.url, "GITHUB_ALLOW_HTTP": "1"}
        settings["ORCHESTRATOR_SWEEP"] = "0.2"  # seconds
        with (self.directory / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, ORCHESTRATOR, *ours, *words, "--", *theirs, *runner],
                env={**os.environ, **self._podman.env, **settings, **env},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        return self

    def signal(self, signum: int = signal.SIGTERM) -> Pool:
        """Send it a signal."""
        assert self._process is not None
        self._process.send_signal(signum)
        return self

    def wait(self, timeout: float = 60) -> int:
        """Return its exit code."""
        assert self._process is not None
        return self._process.wait(timeout)

    @property
    def log(self) -> str:
        """Everything that it and its runners have printed."""
        return (self.directory / "log").read_text(errors="replace")

    def containers(self) -> list[dict[str, Any]]:
        """Return podman's data on its containers, running or not."""
        known: list[dict[str, Any]] = json.loads(self._podman("ps", "--all", "--format", "json"))
        return [found for found in known if found["Names"][0].startswith(self.prefix)]

    def end(self) -> None:
        """Remove all that a failed test has left."""
        if self._process:
            self._process.kill()
            self._process.wait()
        for container in self.containers():
            self._podman("rm", "--force", "--time", "0", container["Id"], check=False)
        if (self.directory / "log").exists():
            sys.stdout.write(self.log)


@pytest.fixture
def pool(podman: Engine, hub: Simulator, tmp_path: Path) -> Iterator[Pool]:
    """A pool whose GitHub has no runners and no jobs."""
    hub.reset()
    hub.settings(session_seconds=2.0)  # a killed runner is offline after so many seconds
    made = Pool(podman, hub, tmp_path)
    yield made
    made.end()


def test_register_job_replacement_and_stop(pool: Pool, hub: Simulator) -> None:
    """Two runners register; a job finds no credential; it is replaced; a stop leaves nothing."""
    pool.start("-n", "2")
    last = listening(hub, 2)
    first = {container["Id"] for container in pool.containers()}
    job = hub.queue_job(LOOK)
    hub.wait_for("job_completed", job_id=job["id"])
    assert_nothing_found(hub.job(job["id"]), as_root=True)
    listening(hub, 1, last)
    until(lambda: len(pool.containers()) == 2)
    assert len(first & {container["Id"] for container in pool.containers()}) == 1
    assert {label["name"] for label in hub.runners()[0]["labels"]} >= {"krun", "krunvm", "ubuntu"}
    begin = time.monotonic()
    assert pool.signal().wait() == 143
    assert time.monotonic() - begin < 20
    assert hub.runners() == []
    assert pool.containers() == []
    assert list((pool.directory / "shared").iterdir()) == []
    assert TOKEN not in pool.log


def test_credential_until_job(pool: Pool, hub: Simulator) -> None:
    """The hook that takes the credential from the runner is reached in the shared folder."""
    job = hub.queue_job(LOOK)
    assert pool.start(runner=("-r", "1"), env={"RUNNER_CREDENTIAL": "until-job"}).wait() == 0
    assert_nothing_found(hub.job(job["id"]), as_root=True)


def test_stop_in_a_job(pool: Pool, hub: Simulator) -> None:
    """A stop cancels the job, reports it, and takes the runner off the list."""
    job = hub.queue_job("echo begun; sleep 60")
    pool.start(env={"RUNNER_CANCEL_TIMEOUT": "1"})
    hub.wait_for("job_output", timeout=60)
    assert pool.signal().wait() == 143
    assert hub.job(job["id"])["status"] == "completed"
    assert hub.runners() == []
    assert pool.containers() == []


def test_drain(pool: Pool, hub: Simulator) -> None:
    """With a drain the job runs to its end."""
    job = hub.queue_job("echo begun; sleep 3; echo done")
    pool.start(env={"RUNNER_DRAIN_TIMEOUT": "30"})
    hub.wait_for("job_output", timeout=60)
    assert pool.signal().wait() == 143
    assert hub.job(job["id"])["result"] == "succeeded"
    assert hub.runners() == []


def test_longest_life(pool: Pool, hub: Simulator) -> None:
    """-k replaces an idle runner, and -r ends the loop."""
    assert pool.start(runner=("-k", "3", "-r", "2")).wait() == 0
    assert len({event["runner_id"] for event in hub.events() if event["kind"] == "listening"}) == 2
    assert hub.runners() == []


def test_wrong_token(pool: Pool, hub: Simulator) -> None:
    """A token that GitHub refuses is tried once."""
    (pool.directory / "token").write_text("ghp_wrong")
    assert pool.start("-n", "2").wait() == 77
    assert pool.log.count("the loop ends") == 1
    assert hub.runners() == []


def test_resources_and_mounts(pool: Pool, hub: Simulator, tmp_path: Path) -> None:
    """Processors, memory, labels, name and cache reach the container or the runner."""
    cache = tmp_path / "cache"
    cache.mkdir()
    words = ("-c", "1", "-m", "512", "-L", "gpu", "-u", "runner", "-M", f"{cache}:/opt/cache")
    job = hub.queue_job("id -un; sudo touch /opt/cache/hit; echo $RUNNER_NAME", labels=["gpu"])
    pool.start(runner=(*words, "-r", "2"))
    done = hub.wait_for("job_completed", job_id=job["id"], timeout=60)
    user, name = hub.job(job["id"])["log"].split()
    assert user == "runner"
    assert name.startswith(f"{pool.prefix}-1-")
    assert (cache / "hit").exists()
    listening(hub, 1, done["id"])  # the next runner, which stays
    limits = json.loads(pool._podman("inspect", pool.containers()[0]["Id"]))[0]["HostConfig"]
    assert limits["Memory"] == 512 * 2**20
    assert limits["NanoCpus"] == 10**9
    assert pool.signal().wait() == 143


def test_scope_group_and_secret(pool: Pool, hub: Simulator, tmp_path: Path) -> None:
    """An organization's runner joins its group, and stops at the user's own secret."""
    hub.add_group("builders")
    (tmp_path / "secret").write_text("correct-horse-battery\n")
    words = ("-s", "org", "-p", "acme", "-G", "builders", "-S", f"@{tmp_path}/secret", "-U")
    pool.start(runner=words)
    listening(hub, 1)
    (runner,) = hub.runners()
    assert runner["scope"] == "orgs/acme"
    assert runner["runner_group_id"] > 1
    assert pool.signal().wait() == 143
    assert hub.runners() == []


def test_the_checkout_in_the_images_place(pool: Pool, hub: Simulator) -> None:
    """-D runs the program of this checkout."""
    job = hub.queue_job("cat /proc/1/cmdline | tr '\\0' ' '")
    assert pool.start(runner=("-D", "/checkout", "-r", "1")).wait() == 0
    assert "/checkout" in hub.job(job["id"])["log"]
    assert hub.runners() == []


def test_a_runner_that_is_killed(pool: Pool, hub: Simulator, podman: Engine) -> None:
    """After a kill, as when a microVM's monitor dies, a new runner comes; the old one is swept."""
    pool.start()
    last = listening(hub, 1)
    (old,) = hub.runners()
    podman("kill", pool.containers()[0]["Id"])
    listening(hub, 1, last)
    hub.wait_for("runner_removed", runner_id=old["id"], timeout=60)
    assert pool.signal().wait() == 143
    assert hub.runners() == []
    assert pool.containers() == []


@pytest.mark.parametrize("victim", ["client", "monitor"])
def test_an_engine_that_is_killed(pool: Pool, hub: Simulator, victim: str) -> None:
    """After a kill of podman's client or conmon no runner is forgotten, or left on the list."""
    pool.start()
    last = listening(hub, 1)
    (container,) = pool.containers()
    mark = b"\0run\0" if victim == "client" else b"conmon\0"
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            words = (process / "cmdline").read_bytes()
            if mark in words and container["Names"][0].encode() in words and b"-p" in words:
                os.kill(int(process.name), signal.SIGKILL)
    if victim == "monitor":
        listening(hub, 1, last)  # another one in its place
    else:
        until(lambda: "its client was killed; it lives on" in pool.log)
    assert pool.signal().wait(120) == 143
    assert hub.runners() == []
    assert pool.containers() == []


def test_power_cut(pool: Pool, hub: Simulator, podman: Engine) -> None:
    """After orchestrator and containers died at once, the next orchestrator clears up."""
    pool.start("-n", "2")
    last = listening(hub, 2)
    pool.signal(signal.SIGKILL).wait()
    podman("kill", *(container["Id"] for container in pool.containers()))
    pool.start()
    listening(hub, 1, last)
    until(lambda: len(hub.runners()) == 1)
    assert pool.signal().wait(120) == 143
    assert hub.runners() == []
    assert pool.containers() == []
    assert list((pool.directory / "shared").iterdir()) == []


def test_a_killed_orchestrator(pool: Pool, hub: Simulator) -> None:
    """After the orchestrator was killed, the next one first stops its containers in order."""
    pool.start()
    last = listening(hub, 1)
    pool.signal(signal.SIGKILL).wait()
    assert len(hub.runners()) == 1
    pool.start()
    listening(hub, 1, last)
    assert len(hub.runners()) == 1
    assert "that was killed has left it" in pool.log
    assert pool.signal().wait() == 143
    assert hub.runners() == []


def test_two_with_one_prefix(pool: Pool, hub: Simulator) -> None:
    """The end of one orchestrator leaves the other one's runner alone."""
    pool.start()
    last = listening(hub, 1)
    (first,) = hub.runners()
    process = pool._process
    pool.start()
    listening(hub, 1, last)
    assert pool.signal().wait() == 143
    assert hub.runners() == [first]
    assert len(pool.containers()) == 1
    assert process is not None
    process.terminate()
    assert process.wait(30) == 143
    assert hub.runners() == []


@pytest.mark.parametrize(
    ("words", "network"), [([], "host"), (["--network", "none"], "none"), (["--net=none"], "none")]
)
def test_docker_in_a_microvm(
    podman: Engine, tmp_path: Path, words: list[str], network: str
) -> None:
    """`docker` gives a container the network of its machine, unless told otherwise."""
    socket = tmp_path / "podman.sock"
    with podman.open("system", "service", "--time=0", f"unix://{socket}"):
        until(socket.exists)
        docker = Engine(str(ROOT / "deploy/krun/docker"), {"DOCKER_HOST": f"unix://{socket}"})
        container = docker("create", *words, IMAGE, "true")
        mode = podman("inspect", "--format", "{{.HostConfig.NetworkMode}}", container)
        podman("rm", container)
    assert mode == network


def test_podman_in_a_microvm(podman: Engine) -> None:
    """Podman does the same, by its configuration."""
    inside = Engine("podman", {"CONTAINERS_CONF": str(ROOT / "deploy/krun/containers.conf")})
    container = inside("create", IMAGE, "true")
    assert podman("inspect", "--format", "{{.HostConfig.NetworkMode}}", container) == "host"
    podman("rm", container)
