"""The user that jobs run as: who it is, what it may reach, how a program becomes it."""

from __future__ import annotations

import os
import pwd
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from entrypoint.init import Init

if TYPE_CHECKING:
    from entrypoint.settings import Settings

_CAP_SETPCAP, _CAP_SYS_PTRACE = 8, 19  # linux/capability.h
# What root needs to hand files to the user, become it, and end what it runs.
_NEEDED = {"CHOWN": 0, "DAC_OVERRIDE": 1, "KILL": 5, "SETGID": 6, "SETUID": 7}
_ENGINE_SOCKETS = ("/run/docker.sock", "/var/run/docker.sock", "/run/podman/podman.sock")
_SUDO_TIMEOUT = 5.0  # seconds; whoever cannot be asked in time is taken to have sudo


class Account(NamedTuple):
    """A user of this container."""

    name: str
    uid: int
    gid: int
    home: str


def lookup(name: str) -> Account | None:
    """Return a user by name, or None if this container has no such user."""
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        return None
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid, entry.pw_dir)


def require(name: str) -> Account:
    """Return a user that is known to be there."""
    found = lookup(name)
    if found is None:
        raise LookupError(f"no user {name!r}")
    return found


@contextmanager
def acting_as(account: Account) -> Iterator[None]:
    """Let the kernel judge file access as if this process were that user, and then no longer.

    Only root can; anybody else is taken to be that user already.
    """
    if os.geteuid() != 0:
        yield
        return
    groups = os.getgroups()
    os.setgroups(os.getgrouplist(account.name, account.gid))
    os.setegid(account.gid)
    os.seteuid(account.uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)
        os.setgroups(groups)


def can(account: Account, path: str, mode: int) -> bool:
    """Return whether that user may access a path; `mode` as for os.access, the kernel judges."""
    with acting_as(account):
        return os.access(path, mode, effective_ids=True)


def missing_capabilities() -> list[str]:
    """Return what this process, being root, lacks to run programs as somebody else."""
    if os.geteuid() != 0:
        return []
    return [name for name, number in _NEEDED.items() if not _has(number, "CapEff")]


def command(settings: Settings, account: Account, argv: list[str]) -> list[str]:
    """Return the command line that runs a program as that user, weaker than PID 1.

    The program and all that it ever starts lack a capability that PID 1 has, root by sudo
    included; so the kernel denies them PID 1's environment, memory and descriptors
    (ptrace_may_access; proc_pid_environ(5)). With RUNNER_SUDO=0 no setuid program has any power
    in there (PR_SET_NO_NEW_PRIVS in prctl(2)), which needs no change to sudo's files.
    """
    options = [] if settings.sudo else ["--no-new-privs"]
    if os.geteuid() == 0:
        options += [f"--reuid={account.uid}", f"--regid={account.gid}", "--init-groups"]
        options += ["--inh-caps=-all", *_bounding_set(settings)]
    return ["setpriv", *options, "--", *argv] if options else argv


def _bounding_set(settings: Settings) -> list[str]:
    """Return setpriv's option that drops one capability for good, if this process may do that."""
    if not _has(_CAP_SETPCAP, "CapEff"):
        return []
    dropped = "setpcap" if settings.allow_ptrace or not _has(_CAP_SYS_PTRACE) else "sys_ptrace"
    return [f"--bounding-set=-{dropped}"]


def _has(capability: int, kind: str = "CapBnd") -> bool:
    """Return whether this process has a capability in one of its sets, as status names them."""
    with open("/proc/self/status", encoding="ascii", errors="replace") as status:
        sets = dict(line.split(":\t", 1) for line in status if line.startswith("Cap"))
    return bool(int(sets[kind], 16) >> capability & 1)


def way_to_root(settings: Settings, account: Account) -> str:
    """Return how a job may become root, and so read what root can read; "" if it cannot."""
    for path in _ENGINE_SOCKETS:
        if can(account, path, os.W_OK):
            return f"the container engine behind {path}"
    if not settings.sudo:
        return ""
    own = Init()
    try:
        # With any right that needs no password this asks for none (listpw in sudoers(5)).
        asking = command(settings, account, ["sudo", "-n", "-l"])
        child = own.spawn(asking, env={"PATH": os.defpath}, capture=True)
    except FileNotFoundError:  # not even setpriv
        return ""
    outcome = own.wait(child, time.monotonic() + _SUDO_TIMEOUT)
    own.end(child)
    return "sudo" if outcome in (0, None) else ""


def weaknesses(settings: Settings, account: Account) -> list[str]:
    """Return what a job could do here that it cannot do in a container with the usual settings."""
    found = []
    if os.geteuid() == account.uid:
        found.append(
            f"RUNNER_USER: PID 1 is {account.name} as jobs are, so a job can read the environment"
            " of health checks and of `docker exec`; start the container as root"
        )
    kept = settings.allow_ptrace or not _has(_CAP_SETPCAP, "CapEff")
    if kept and settings.sudo and _has(_CAP_SYS_PTRACE) and settings.credential != "until-job":
        found.append(
            "RUNNER_ALLOW_PTRACE: a job with sudo and CAP_SYS_PTRACE can read the credential;"
            " RUNNER_CREDENTIAL=until-job keeps it from that, RUNNER_SUDO=0 as well"
        )
    return found
