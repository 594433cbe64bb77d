"""Files that hold secrets: how they are read, and which of them a job could have put there.

A job is any program that runs as the runner's user, and as root if that user may become root. A
file that a job could read is deleted before the first job (lifecycle/exposure.py).
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from typing import NamedTuple

from entrypoint.container.account import Account, acting_as
from entrypoint.settings.parsers import Problem

MAX_SIZE = 64 * 1024  # bytes; the largest credential is an App's private key of some 3 KiB
ENVFILE = "RUNNER_ENVFILE"
_MAX_LINKS = 40  # the kernel's own limit (path_resolution(7))


class Entry(NamedTuple):
    """One name in a directory, on the way to a file: a directory, a link, or the file itself."""

    directory: str
    name: str
    owner: int

    @property
    def path(self) -> str:
        """Where the entry is."""
        return os.path.join(self.directory, self.name)


class SecretFile(NamedTuple):
    """A file that was read: its text, and the directory entries that lead to it from / on."""

    text: str
    way: tuple[Entry, ...]
    names: int  # hard links: deleting one of several names does not delete the file

    @property
    def path(self) -> str:
        """Where the file is, all symbolic links followed."""
        return self.way[-1].path

    def __repr__(self) -> str:
        """Show where the file is, and not its text."""
        return f"SecretFile({self.path!r})"


def read(path: str) -> SecretFile:
    """Read a regular file of UTF-8 text. Raises a Problem, which never shows the text."""
    try:
        way = tuple(_follow(path))
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        with open(os.open(way[-1].path, flags), "rb") as file:
            about = os.fstat(file.fileno())
            if not stat.S_ISREG(about.st_mode):
                raise Problem("is not a regular file")
            content = file.read(MAX_SIZE + 1)
    except Problem:  # is a ValueError, but must not get into the clause for all ValueErrors
        raise
    except IsADirectoryError:
        raise Problem("is a directory") from None
    except (OSError, ValueError) as error:
        raise Problem(f"cannot be read: {getattr(error, 'strerror', error)}") from None
    if len(content) > MAX_SIZE:
        raise Problem(f"is larger than {MAX_SIZE} bytes")
    if b"\0" in content:  # an environment variable cannot hold a zero byte
        raise Problem("is not UTF-8 text (it holds zero bytes, as UTF-16 does)")
    try:
        return SecretFile(content.decode("utf-8-sig"), way, about.st_nlink)
    except UnicodeDecodeError:
        raise Problem("is not UTF-8 text") from None


def _follow(path: str) -> Iterator[Entry]:
    """Yield the directory entries that lead to a file, in the order in which they are looked up.

    Symbolic links are followed here, not by the kernel, because each entry on the way is a place
    where a job could have put something else.
    """
    directory, rest, links = "/", os.path.abspath(path).split("/"), 0
    while rest:
        name = rest.pop(0)
        if name in ("", "."):
            continue
        if name == "..":
            directory = os.path.dirname(directory)
            continue
        entry = Entry(directory, name, os.lstat(os.path.join(directory, name)).st_uid)
        yield entry
        if os.path.islink(entry.path):
            links += 1
            if links > _MAX_LINKS:
                raise ValueError("too many symbolic links")
            target = os.readlink(entry.path)
            directory = "/" if target.startswith("/") else directory
            rest = [*target.split("/"), *rest]
        else:
            directory = entry.path


def why_untrusted(file: SecretFile, user: Account) -> str:
    """Return why a job could have put this file there; "" if no job could."""
    *way, last = file.way
    # If PID 1 runs as the runner's user, jobs can read all that it can: there is nothing that they
    # could trick it into reading for them.
    if os.geteuid() == user.uid:
        return ""
    if last.owner == user.uid:
        return f"belongs to {user.name}, as whom jobs run; chown it to root"
    for entry in way:
        if _may_replace(user, entry):
            return f"is reached by {entry.path}, which jobs, as {user.name}, can replace"
    if _may_write(user, last.directory):
        return f"is in a directory that jobs, as {user.name}, can write to; move it elsewhere"
    return ""


def _may_replace(user: Account, entry: Entry) -> bool:
    """Whether a user may replace an entry by something else."""
    if not _may_write(user, entry.directory):
        return False
    about = os.stat(entry.directory)
    # In a sticky directory only the owner of an entry, or of the directory, may replace it.
    sticky = about.st_mode & stat.S_ISVTX and user.uid not in (about.st_uid, entry.owner)
    return not sticky


def _may_write(user: Account, directory: str) -> bool:
    """Whether a user may add and remove entries, now or after a chmod of a directory it owns."""
    with acting_as(user):
        if os.access(directory, os.W_OK | os.X_OK, effective_ids=True):
            return True
    read_only = os.statvfs(directory).f_flag & os.ST_RDONLY
    return os.stat(directory).st_uid == user.uid and not read_only
