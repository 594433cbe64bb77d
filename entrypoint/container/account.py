"""The user that jobs run as: who it is, what it may reach, how a program becomes it."""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from entrypoint.errors import ExitCode, Failure

if TYPE_CHECKING:
    from entrypoint.settings.schema import Settings

CAP_SETPCAP, CAP_SYS_PTRACE = 8, 19  # linux/capability.h
# What root needs to hand files to the user, become it, and end what it runs.
_NEEDED = {"CHOWN": 0, "DAC_OVERRIDE": 1, "KILL": 5, "SETGID": 6, "SETUID": 7}


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

    Only root can; anybody else is taken to be that user already. Raises a Failure (78) where the
    container's user namespace does not even let root: no such user in it, or no setgroups(2).
    """
    if os.geteuid() != 0:
        yield
        return
    groups = os.getgroups()
    try:
        os.setgroups(os.getgrouplist(account.name, account.gid))
        os.setegid(account.gid)
        os.seteuid(account.uid)
    except OSError as error:
        raise Failure(
            ExitCode.CONFIG,
            f"RUNNER_USER: root cannot become {account.name} in this user namespace:"
            f" {error.strerror}",
            "give the container a range of user ids (subuid(5)), or start it as that user",
        ) from None
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
    return [name for name, number in _NEEDED.items() if not has_capability(number, "CapEff")]


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
    if not has_capability(CAP_SETPCAP, "CapEff"):
        return []
    dropped = (
        "setpcap" if settings.allow_ptrace or not has_capability(CAP_SYS_PTRACE) else "sys_ptrace"
    )
    return [f"--bounding-set=-{dropped}"]


def has_capability(capability: int, kind: str = "CapBnd") -> bool:
    """Return whether this process has a capability in one of its sets, as status names them."""
    with open("/proc/self/status", encoding="ascii", errors="replace") as status:
        sets = dict(line.split(":\t", 1) for line in status if line.startswith("Cap"))
    return bool(int(sets[kind], 16) >> capability & 1)
