"""The user that jobs run as: who it is, what it may reach, how a program becomes it."""

from __future__ import annotations

import os
import pwd
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from entrypoint.errors import ExitCode, Failure

_SOCKET = "/run/docker.sock"


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


def _groups_of_engine() -> set[int]:
    """Return the group of a Docker socket that is mounted: its id need not be the image's.

    Root's group is not passed on: a job with it could write to much else.
    """
    try:
        about = os.stat(_SOCKET)
    except OSError:
        return set()
    usable = stat.S_ISSOCK(about.st_mode) and about.st_mode & 0o020
    return {about.st_gid} if usable and about.st_gid != 0 else set()


def groups(account: Account) -> list[int]:
    """Return the groups of a user's processes: its own, and those beyond root's that we have."""
    own = set(os.getgrouplist(account.name, account.gid)) | _groups_of_engine()
    return sorted(own | (set(os.getgroups()) - set(os.getgrouplist("root", 0))))


@contextmanager
def acting_as(account: Account) -> Iterator[None]:
    """Let the kernel judge file access as if this process were that user, and then no longer.

    Only root can; anybody else is taken to be that user already. Raises a Failure (78) where the
    container's user namespace does not even let root: no such user in it, or no setgroups(2).
    """
    if os.geteuid() != 0:
        yield
        return
    before, groups_of_job = os.getgroups(), groups(account)
    try:
        os.setgroups(groups_of_job)
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
        os.setgroups(before)


def can(account: Account, path: str, mode: int) -> bool:
    """Return whether that user may access a path; `mode` as for os.access, the kernel judges."""
    with acting_as(account):
        return os.access(path, mode, effective_ids=True)
