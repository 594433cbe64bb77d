"""`deploy/sysbox-check`, with a stand-in for sysbox's mounts, since sysbox is not here."""

from __future__ import annotations

from tests.deploy.guest import Guest
from tests.deploy.pools import DEPLOY, IMAGE

TOGETHER = "second guest"

CHECK = f"{DEPLOY}/sysbox-check"
# From reports of sysbox's users (findmnt in a container).
MOUNT = "620 612 0:52 /proc/sys /proc/sys rw,nosuid,relatime - fuse sysboxfs rw,user_id=0"


def test_not_in_force(guest: Guest) -> None:
    """Under Docker's own runtime it says that sysbox is not in force."""
    done = guest.attempt(CHECK, IMAGE)
    assert done.returncode == 1
    assert "sysbox is not in force" in done.stdout


def test_runtime_that_docker_does_not_know(guest: Guest) -> None:
    """If Docker does not know a runtime, the script says so, and does not judge the others."""
    done = guest.attempt(CHECK, "--runtime=sysbox-runc", IMAGE)
    assert done.returncode == 2
    assert "sysbox-runc" in done.stdout


def test_in_force(guest: Guest) -> None:
    """If sysbox's file system is mounted, sysbox is in force."""
    guest.write("/opt/sysbox/docker", f"#!/bin/sh\necho '{MOUNT}'\n", 0o755)
    path = "PATH=/opt/sysbox:/usr/bin:/bin"
    assert guest.run("env", path, CHECK, IMAGE) == "sysbox is in force"
