"""How a job may become root in this container, and what more it could do than it should."""

from __future__ import annotations

import os
import time

from entrypoint.container import account, kernel
from entrypoint.container.account import Account
from entrypoint.init.pid1 import Init
from entrypoint.lifecycle import engine
from entrypoint.runner import program
from entrypoint.settings.schema import Settings

_HOST_SOCKETS = ("/run/docker.sock", "/var/run/docker.sock", "/run/podman/podman.sock")
_SUDO_TIMEOUT = 5.0  # seconds; whoever cannot be asked in time is taken to have sudo


def way_to_root(settings: Settings, user: Account) -> str:
    """Return how a job may become root, and so read what root can read; "" if it cannot."""
    if (kind := engine.choice(settings)) != "none":
        return kind
    for path in _HOST_SOCKETS:
        if account.can(user, path, os.W_OK):
            return f"the engine behind {path}"
    if not settings.sudo:
        return ""
    own = Init()
    try:
        # With any right that needs no password this asks for none (listpw in sudoers(5)).
        asking = program.as_user(settings, user, ["sudo", "-n", "-l"])
        child = own.spawn(asking, env={"PATH": os.defpath}, capture=True)
    except FileNotFoundError:  # not even setpriv
        return ""
    outcome = own.wait(child, time.monotonic() + _SUDO_TIMEOUT)
    own.end(child)
    return "sudo" if outcome in (0, None) else ""


def weaknesses(settings: Settings, user: Account) -> list[str]:
    """Return what a job could do here that it cannot do in a container with the usual settings."""
    found = []
    if os.geteuid() == user.uid:
        found.append(
            f"RUNNER_USER: PID 1 is {user.name} as jobs are, so a job can read the environment"
            " of health checks and of `docker exec`; start the container as root"
        )
    kept = settings.allow_ptrace or not kernel.has_capability(kernel.CAP_SETPCAP, "CapEff")
    if (
        kept
        and settings.sudo
        and kernel.has_capability(kernel.CAP_SYS_PTRACE)
        and settings.credential != "until-job"
    ):
        found.append(
            "RUNNER_ALLOW_PTRACE: a job with sudo and CAP_SYS_PTRACE can read the credential;"
            " RUNNER_CREDENTIAL=until-job keeps it from that, RUNNER_SUDO=0 as well"
        )
    return found
