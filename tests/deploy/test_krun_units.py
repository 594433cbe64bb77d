"""krun.conf added to the unit and to the quadlet: how systemd runs a runner in a microVM.

A program called krun starts ordinary containers here, so that the files are used as they are.
"""

from __future__ import annotations

import pytest

from simulator import Simulator
from tests.deploy.conftest import each_of
from tests.deploy.guest import Guest
from tests.deploy.look import LOOK, assert_nothing_found
from tests.deploy.pools import (
    DEPLOY,
    IMAGE,
    TOKEN,
    Podman,
    Quadlet,
    Systemd,
    documented,
    listening,
    stop_of_a_busy_pool,
)
from tests.support.life import until

TOGETHER = "second guest"

# The image has no podman, so the guest's Docker is the engine. The guest has no memory controller.
ENGINE = "--env=RUNNER_ENGINE=auto --volume=/run/docker.sock:/run/docker.sock"
POOL = f"IMAGE={IMAGE}\nRUN_OPTIONS={ENGINE} --memory=0\n"
KRUN = """#!/bin/sh
[ "$1" != --version ] || { echo "crun version 1.21"; echo "+SYSTEMD +LIBKRUN"; exit 0; }
exec crun "$@"
"""


class _Krun(Systemd):
    """Adds the drop-in to a pool of units."""

    sudo = True

    def install(self) -> None:
        """Install the units, then follow docs/krun.md; and stand-ins for krun and for KVM."""
        super().install()
        commands = documented("With systemd", "docs/krun.md")
        self.guest.run("sh", "-ec", f"cd {DEPLOY}/..\n{commands}")
        self.guest.write("/usr/local/bin/krun", KRUN, 0o755)
        self.guest.run("mknod", "-m", "666", "/dev/kvm", "c", "1", "3")

    def uninstall(self) -> None:
        """Remove the units and the stand-ins."""
        super().uninstall()
        self.guest.run("rm", "-f", "/usr/local/bin/krun", "/dev/kvm")

    def configure(self, token: str = TOKEN, **settings: str) -> None:
        """Write the settings; podman gets options for what is missing here."""
        super().configure(token, **settings)
        self.guest.write(f"{self.etc}/gh-runner/pool.conf", POOL)

    def status(self) -> str:
        """Return what `systemctl status` shows, and the log of the units."""
        return super().status() + journal(self.guest)


class KrunUnit(_Krun, Podman):
    """The template unit, with the drop-in."""


class KrunQuadlet(_Krun, Quadlet):
    """The quadlet, with the drop-in."""


pytestmark = each_of([KrunUnit, KrunQuadlet])


def journal(guest: Guest) -> str:
    """Return the log of the units."""
    return guest.run("journalctl", "--no-pager", "--output=cat", "--unit=gh-runner@*", check=False)


def shared(guest: Guest, instance: int = 1) -> str:
    """Return the names in the folder that host and microVM share."""
    folder = f"/run/gh-runner/{instance}/machine/shared"
    return guest.run("ls", "-A", folder, f"{folder}/state", check=False)


def test_job_replacement_stop(pool: Systemd, github: Simulator) -> None:
    """Runners register, do a job that finds no credential, and end at the stop file."""
    pool.start(2)
    last = listening(github, 2)
    assert "--annotation krun.cpus=2" in " ".join(
        pool.call("inspect", "--format", "{{.Config.CreateCommand}}", container).replace(
            "--annotation=", "--annotation "
        )
        for container in pool.containers()
    )
    assert "state.json" in shared(pool.guest)
    assert '"phase": "listening"' in pool.guest.run(
        "cat", "/run/gh-runner/1/machine/shared/state/state.json"
    )
    job = github.queue_job(f"curl -sf --unix-socket /run/docker.sock http://d/version\n{LOOK}")
    listening(github, 1, last)
    assert_nothing_found(github.job(job["id"]), as_root=pool.sudo)
    assert pool.stop() < pool.stop_seconds
    assert journal(pool.guest).count("a stop by file") >= 2
    assert pool.containers() == set()
    assert github.runners() == []


def test_stop_of_a_busy_runner(pool: Systemd, github: Simulator) -> None:
    """A stop in a job cancels and reports it."""
    stop_of_a_busy_pool(pool, github, 1)


@pytest.mark.exhaustive
def test_wrong_token(pool: Systemd, github: Simulator) -> None:
    """With a wrong token the unit fails after one try, and is not started again."""
    pool.encrypt("ghp_wrong")
    pool.start(1)
    until(lambda: "status=77" in pool.status())
    assert "Bad credentials" in journal(pool.guest)
    restarts = pool.systemctl("show", "--property=NRestarts", "--value", "gh-runner@1.service")
    assert restarts == "0"
    pool.encrypt(TOKEN)
    assert github.runners() == []


@pytest.mark.exhaustive
@pytest.mark.parametrize(
    ("break_it", "mend_it", "said"),
    [
        ("mv /dev/kvm /dev/away", "mv /dev/away /dev/kvm", "there is no /dev/kvm"),
        ("chmod a-x /usr/local/bin/krun", "chmod a+x /usr/local/bin/krun", "there is no krun"),
        (
            "sed -i s/+LIBKRUN// /usr/local/bin/krun",
            "sed -i s/+SYSTEMD/+LIBKRUN/ /usr/local/bin/krun",
            "krun was built without libkrun",
        ),
    ],
)
def test_what_is_missing_is_told(
    pool: Systemd, github: Simulator, break_it: str, mend_it: str, said: str
) -> None:
    """Without KVM or krun the unit says so in one sentence, and starts nothing."""
    pool.guest.run("sh", "-c", break_it)
    try:
        pool.systemctl("start", "gh-runner@1.service", check=False)
        until(lambda: said in journal(pool.guest))
        assert pool.containers() == set()
    finally:
        pool.guest.run("sh", "-c", mend_it)
    assert github.runners() == []
