"""The user that jobs run as: its ids, its groups, and what it may access."""

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
    """Return a user by name, or None if this container has no such user.

    OpenShift starts a container with an id that no image has, in group 0, which owns what such a
    container may write. That user stands in for the named one: it cannot become any other.
    """
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        return None
    uid = os.geteuid()
    if uid not in (0, entry.pw_uid) and os.getegid() == 0 and not _has_name(uid):
        return Account(str(uid), uid, 0, entry.pw_dir)
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid, entry.pw_dir)


def _has_name(uid: int) -> bool:
    try:
        pwd.getpwuid(uid)
    except KeyError:
        return False
    return True


def require(name: str) -> Account:
    """Return a user by name, where an earlier check has found that it exists."""
    found = lookup(name)
    if found is None:
        raise LookupError(f"no user {name!r}")
    return found


def _groups_of_engine() -> set[int]:
    """Return the group that may use a mounted Docker socket; nothing if there is none.

    The group comes from the host, so its id is often not that of the image's group `docker`.
    """
    try:
        about = os.stat(_SOCKET)
    except OSError:
        return set()
    # Group 0 is left out: a job that belongs to it could write to many other files.
    usable = stat.S_ISSOCK(about.st_mode) and about.st_mode & 0o020
    return {about.st_gid} if usable and about.st_gid != 0 else set()


def groups(account: Account) -> list[int]:
    """Return the groups of a user's processes.

    They are the user's own, the Docker socket's, and those that this process has in addition to
    root's, as by `docker run --group-add`.
    """
    own = set(os.getgrouplist(account.name, account.gid)) | _groups_of_engine()
    return sorted(own | (set(os.getgroups()) - set(os.getgrouplist("root", 0))))


@contextmanager
def acting_as(account: Account) -> Iterator[None]:
    """Let the kernel check file access as if this process were that user, within a `with` block.

    A process that is not root is taken to be that user already. Raises a Failure (78) if the
    container's user namespace denies it to root: the user's id is not mapped, or setgroups(2) is
    not allowed.
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
    """Return whether that user may access a path, by the kernel's own check (mode: os.access)."""
    with acting_as(account):
        return os.access(path, mode, effective_ids=True)
