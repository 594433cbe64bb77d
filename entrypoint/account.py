"""The user that jobs run as: who it is, what it may reach, how a program becomes it."""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

_CAP_SETPCAP, _CAP_SYS_PTRACE = 8, 19  # linux/capability.h


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


def command(account: Account, argv: list[str]) -> list[str]:
    """Return the command line that runs a program as that user, weaker than PID 1.

    The program and all that it ever starts lack a capability that PID 1 has, root by sudo
    included; so the kernel denies them PID 1's environment, memory and descriptors
    (ptrace_may_access; proc_pid_environ(5)).
    """
    if os.geteuid() != 0:
        return argv
    become = ["setpriv", f"--reuid={account.uid}", f"--regid={account.gid}", "--init-groups"]
    return [*become, "--inh-caps=-all", *_bounding_set(), "--", *argv]


def _bounding_set() -> list[str]:
    """Return setpriv's option that drops one capability for good, if this process may do that."""
    with open("/proc/self/status", encoding="ascii", errors="replace") as status:
        sets = dict(line.split(":\t", 1) for line in status if line.startswith("Cap"))
    if not int(sets["CapEff"], 16) >> _CAP_SETPCAP & 1:
        return []
    has_ptrace = int(sets["CapBnd"], 16) >> _CAP_SYS_PTRACE & 1
    return [f"--bounding-set=-{'sys_ptrace' if has_ptrace else 'setpcap'}"]
