"""The oldest Debian that the units are written for: systemd 252, Docker 20.10, podman 4.3."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from simulator import Simulator
from tests.deploy.conftest import furnish
from tests.deploy.guest import Guest, cache
from tests.deploy.pools import Podman, Systemd, SystemdSudo, job_replacement_stop
from tests.image.engine import Engine

pytestmark = pytest.mark.exhaustive


@pytest.fixture(scope="module")
def old_guest(docker: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guest]:
    """A booted Debian 12."""
    with Guest(cache(), "bookworm", "packages.bookworm") as booted:
        furnish(booted, docker, tmp_path_factory.mktemp("deploy"))
        yield booted


@pytest.mark.parametrize("kind", [Systemd, SystemdSudo, Podman])
def test_unit(old_guest: Guest, kind: type[Systemd]) -> None:
    """Its systemd finds nothing wrong in the unit, whose runners live as on a newer host."""
    pool = kind(old_guest)
    pool.install()
    pool.configure()
    assert old_guest.run("systemd-analyze", "verify", "gh-runner@1.service") == ""
    try:
        with old_guest.listen() as listener, Simulator(listeners=[listener]) as github:
            job_replacement_stop(pool, github)
    finally:
        pool.stop()
        pool.uninstall()
