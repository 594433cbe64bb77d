"""An engine, the images and a GitHub, made once for all tests of the images.

The engine keeps between runs what takes long to make: the Debian base and the layers.
"""

from __future__ import annotations

import fcntl
import hashlib
import itertools
import json
import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from simulator import Distribution, Simulator
from tests.image.engine import Container, Engine
from tests.image.mirror import Mirror, mirror
from tests.support import docker_engine

HERE = Path(__file__).parent
WORK = Path(tempfile.gettempdir(), "gh-runner-image-tests")
BUILD_SECONDS = 1800  # includes the wait for another run that builds
TOKEN = "ghp_simulator"
CONFIGURATION = "/home/runner/bin/simulator.json"

RunOptions = Callable[..., list[str]]
StartRunner = Callable[..., Container]
Removals = list[subprocess.Popen[str]]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test of this directory; the first one gets the time that the builds take."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.image)
            item.add_marker(pytest.mark.timeout(BUILD_SECONDS))


@contextmanager
def alone() -> Iterator[None]:
    """Lock out other test runs: image tags and the mirror's address exist once on a machine."""
    WORK.mkdir(exist_ok=True)
    with (WORK / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@pytest.fixture(scope="package", autouse=True)
def _alone() -> Iterator[None]:
    """Wait until no other run builds or runs images."""
    with alone():
        yield


@pytest.fixture(scope="package")
def docker() -> Engine:
    """The docker command, with an engine that answers."""
    return Engine(docker_engine.require())


@pytest.fixture(scope="package")
def releases() -> Iterator[Mirror]:
    """A server with the releases of the runner."""
    with mirror(WORK) as found:
        yield found


def operating_system(docker: Engine) -> str:
    """Return the image that the base is built on; $TEST_BASE_IMAGE replaces Debian."""
    if given := os.environ.get("TEST_BASE_IMAGE"):
        return given
    script = HERE / "debian-base"
    authorities = Path("/etc/ssl/certs/ca-certificates.crt")
    key = hashlib.sha256(script.read_bytes() + authorities.read_bytes()).hexdigest()[:12]
    name = f"gh-runner-test-debian:{key}"
    if not docker.has_image(name):
        subprocess.run([script, docker.program, name], check=True)
    return name


@pytest.fixture(scope="package")
def system(docker: Engine) -> str:
    """The operating system of the images."""
    return operating_system(docker)


def built(docker: Engine, tag: str, *arguments: str, build_args: Mapping[str, str]) -> str:
    """Build an image, return its tag, and delete the image that had this tag before."""
    before = docker.image(tag)["Id"] if docker.has_image(tag) else ""
    done = docker.build(tag, *arguments, build_args=build_args)
    assert done.returncode == 0, done.stdout
    if before and before != docker.image(tag)["Id"]:
        docker("image", "rm", before, check=False)
    return tag


def base(docker: Engine, system: str, variant: str, tag: str = "") -> str:
    """Build one variant of Dockerfile.base.ubuntu."""
    options = ["--file", "Dockerfile.base.ubuntu", "--target", variant]
    tag = tag or f"gh-runner-test-base:{variant}"
    return built(docker, tag, *options, build_args={"UBUNTU_IMAGE": system})


@pytest.fixture(scope="package")
def slim_base(docker: Engine, system: str) -> str:
    """The base without engines."""
    return base(docker, system, "slim")


@pytest.fixture(scope="package")
def full_base(docker: Engine, system: str) -> str:
    """The base with everything."""
    return base(docker, system, "full")


def slim(docker: Engine, slim_base: str, releases: Mirror) -> str:
    """Build the image on the slim base."""
    return built(docker, "gh-runner-test:slim", build_args=releases.build_args(slim_base))


@pytest.fixture(scope="package")
def image(docker: Engine, slim_base: str, releases: Mirror) -> str:
    """The image that most tests run."""
    return slim(docker, slim_base, releases)


@pytest.fixture(scope="package")
def full_image(docker: Engine, full_base: str, releases: Mirror) -> str:
    """The image on the full base."""
    return built(docker, "gh-runner-test:full", build_args=releases.build_args(full_base))


@pytest.fixture(scope="package")
def network(docker: Engine) -> Iterator[str]:
    """A bridge of the tests' own: Docker tells the host's address on such a bridge only."""
    name = "gh-runner-test"
    docker("network", "create", name, check=False)  # exists already if an earlier run was killed
    yield name
    docker("network", "rm", name, check=False)


@pytest.fixture(scope="package")
def simulator(docker: Engine, network: str) -> Iterator[Simulator]:
    """One GitHub for all tests, at an address that containers reach over the bridge."""
    bridge: list[dict[str, Any]] = json.loads(docker("network", "inspect", network))
    with Simulator("--host", bridge[0]["IPAM"]["Config"][0]["Gateway"]) as running:
        yield running


@pytest.fixture
def github(simulator: Simulator) -> Simulator:
    """A GitHub without runners and jobs."""
    simulator.reset()
    return simulator


@pytest.fixture(scope="package")
def removals(network: str) -> Iterator[Removals]:
    """Removes ended containers in the background; deleting the network waits until all are gone."""
    assert network
    begun: Removals = []
    yield begun
    for removal in begun:
        removal.communicate()


@pytest.fixture
def run_options(github: Simulator, tmp_path: Path) -> RunOptions:
    """Write an env file and a configuration of the simulated runner; return options of `run`.

    With `scale` 1 the runner takes the real one's times for everything; otherwise only for
        cancelling a job. Keywords are settings; an empty one is left out.
    """
    numbers = itertools.count()

    def write(scale: float = 0, **settings: str) -> list[str]:
        # One folder per container: the engine may read it only after the next container was begun.
        folder = tmp_path / f"runner-{next(numbers)}"
        folder.mkdir()
        configuration, env_file = folder / "simulator.json", folder / ".env"
        distribution = Distribution.scaled(github.url, scale, cancel_scale=1)
        configuration.write_text(json.dumps(asdict(distribution)))
        values = {
            "GITHUB_URL": "https://github.com/acme/shop",
            "GITHUB_PERSONAL_TOKEN": TOKEN,
            "GITHUB_API_URL": github.url,
            "GITHUB_ALLOW_HTTP": "1",
            "RUNNER_LOG_FORMAT": "json",
            **settings,
        }
        lines = [f"{name}={value}\n" for name, value in values.items() if value]
        env_file.write_text("".join(lines))
        return ["--env-file", f"{env_file}", "--volume", f"{configuration}:{CONFIGURATION}:ro"]

    return write


@pytest.fixture
def start(
    docker: Engine, image: str, network: str, run_options: RunOptions, removals: Removals
) -> Iterator[StartRunner]:
    """Start a runner's container: options of `docker run` come first, settings as keywords.

    `command` are the words behind the image.
    """
    with ExitStack() as exits:

        def run(
            *options: str,
            engine: Engine = docker,
            image: str = image,
            network: str = network,
            scale: float = 0,
            command: Sequence[str] = (),
            **settings: str,
        ) -> Container:
            usual = [*run_options(scale, **settings), "--network", network]
            container = Container(engine, *usual, *options, image, *command, wait=False)
            if not command:  # another program than the runner prints what it likes
                started.append(container)
            exits.callback(lambda: removals.append(container.discard()))
            return container

        started: list[Container] = []
        yield run
        for container in started:
            require_records(container.logs())


def require_records(log: str) -> None:
    """Check that each line of a container's log is one JSON object, whichever program wrote it."""
    for line in log.splitlines():
        assert isinstance(json.loads(line), dict), line
