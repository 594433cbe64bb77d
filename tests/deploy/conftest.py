"""One guest for all tests of deploy/: booted once, with the image in each of its engines.

Side by side (`make test-deploy`) there are two. TOGETHER in a module says whose turn it takes, so
that both are busy for about the same time.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import pytest

from simulator import Distribution, Simulator
from tests.deploy.guest import GITHUB, Guest, cache
from tests.deploy.pools import IMAGE, Pool
from tests.image.conftest import WORK, alone, base, docker, operating_system, slim
from tests.image.engine import ROOT, Engine
from tests.image.mirror import mirror

__all__ = ["docker"]

HERE = Path(__file__).parent
MAKE_SECONDS = 1800  # to make the root and the images, or to wait for another run that makes them
DOCKERFILE = f"""
FROM {{}}
COPY simulator.json /home/runner/bin/simulator.json
ENV GITHUB_API_URL={GITHUB} GITHUB_ALLOW_HTTP=1
"""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark tests that need the guest; run the exhaustive ones only if they are asked for."""
    own = [item for item in items if HERE in item.path.parents]
    for item in (item for item in own if "guest" in getattr(item, "fixturenames", ())):
        item.add_marker(pytest.mark.image)
        item.add_marker(pytest.mark.timeout(MAKE_SECONDS))
    if "exhaustive" in str(config.option.markexpr):
        return
    long = [item for item in own if item.get_closest_marker("exhaustive")]
    config.hook.pytest_deselected(items=long)
    items[:] = [item for item in items if item not in long]


def deploy_image(docker: Engine, directory: Path) -> str:
    """Build an image whose default GITHUB_API_URL is the simulator in the guest's network."""
    with mirror(WORK) as releases:
        slim_base = base(docker, operating_system(docker), "slim")
        image = slim(docker, slim_base, releases)
    times = asdict(Distribution.scaled(GITHUB, 0, cancel_scale=1))
    (directory / "simulator.json").write_text(json.dumps(times))
    (directory / "Dockerfile").write_text(DOCKERFILE.format(image))
    tag = "gh-runner-test:deploy"
    done = docker.build(tag, context=directory)
    assert done.returncode == 0, done.stdout
    return tag


def furnish(guest: Guest, docker: Engine, directory: Path) -> None:
    """Put IMAGE into the guest's Docker, its podman and its registry, and deploy/ onto its disk."""
    with alone():
        # Another run may give the tag to an image of its own; this one keeps its id.
        image = docker.image(deploy_image(docker, directory))["Id"]
    with subprocess.Popen([docker.program, "save", image], stdout=subprocess.PIPE) as save:
        loaded = guest.run("docker", "load", stdin=save.stdout)
    guest.run("docker", "tag", loaded.split()[-1], IMAGE)
    guest.run("docker", "push", IMAGE)
    guest.run("podman", "pull", "--quiet", IMAGE)
    with subprocess.Popen(
        ["tar", "--create", "--directory", ROOT, "deploy"], stdout=subprocess.PIPE
    ) as tar:
        guest.run("tar", "--extract", "--directory", "/srv", stdin=tar.stdout)


@pytest.fixture(scope="package")
def guest(docker: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guest]:
    """A booted guest with the image in its engines, and with deploy/."""
    with Guest(cache()) as booted:
        furnish(booted, docker, tmp_path_factory.mktemp("deploy"))
        yield booted


@pytest.fixture(scope="package")
def simulator(guest: Guest) -> Iterator[Simulator]:
    """One GitHub for all tests, which the guest's containers reach as GITHUB."""
    with guest.listen() as listener, Simulator(listeners=[listener]) as running:
        yield running


@pytest.fixture
def github(simulator: Simulator) -> Simulator:
    """A GitHub without runners and jobs."""
    simulator.reset()
    return simulator


def each_of(kinds: Sequence[type[Pool]]) -> pytest.MarkDecorator:
    """Run a test with a pool of each of these kinds."""
    names = [kind.__name__ for kind in kinds]
    return pytest.mark.parametrize("installed", kinds, ids=names, indirect=True)


@pytest.fixture(scope="module")
def installed(guest: Guest, request: pytest.FixtureRequest) -> Iterator[Pool]:
    """The files of one kind of pool, installed as its page says; see `each_of`."""
    pool: Pool = request.param(guest)
    pool.install()
    yield pool
    pool.uninstall()


@pytest.fixture
def pool(installed: Pool, github: Simulator) -> Iterator[Pool]:
    """A pool of which nothing has been started; it is stopped at the end."""
    assert github.runners() == []
    installed.configure()
    yield installed
    sys.stdout.write(installed.status())  # shown if the test has failed
    installed.stop()
