"""Files that root writes into directories which a job may be able to change.

A job could put a link, a FIFO or a device there, and root would write through it. So a directory
is opened step by step without following a job's link, and all else is done relative to that
descriptor (openat(2)). A file is made under a new name, without following a link.
"""

from __future__ import annotations

import errno
import os
import stat

_TRIED = "check"  # the name of a file that exists only for a moment
_MAX_LINKS = 40  # the kernel's own limit (path_resolution(7))
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# O_PATH, because a user may be allowed to pass through a directory, but not to list it.
_ON_THE_WAY = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def open_directory(path: str, *, make: bool = True) -> int:
    """Open a directory. A missing one is made, readable for every user, unless `make` is false.

    A symbolic link on the way is followed only if root has made it: a job's link could lead
    anywhere. A process that is not root can do no more than a job, so it follows all of them.
    Raises OSError.
    """
    before = os.umask(0o022)
    rest, links = os.path.abspath(path).split("/"), 0
    current = os.open("/", _ON_THE_WAY)
    try:
        while rest:
            following, more = _step(current, rest[0], make=make)
            os.close(current)
            current, rest, links = following, [*more, *rest[1:]], links + bool(more)
            if links > _MAX_LINKS:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
        return os.open(".", _DIRECTORY, dir_fd=current)
    except OSError as error:
        error.filename = path
        raise
    finally:
        os.close(current)
        os.umask(before)


def _step(directory: int, name: str, *, make: bool) -> tuple[int, list[str]]:
    """Open one name of a path; for a link, open where its target begins, and return its names."""
    target = _link(directory, name or ".")
    if target is not None:
        begin = "/" if target.startswith("/") else "."
        return os.open(begin, _ON_THE_WAY, dir_fd=directory), target.split("/")
    if make and name:
        try:
            os.mkdir(name, 0o755, dir_fd=directory)
        except FileExistsError:
            pass
    return os.open(name or ".", _ON_THE_WAY, dir_fd=directory), []


def _link(directory: int, name: str) -> str | None:
    """Return the target of a link, or None if it is no link. OSError for a link of a job."""
    try:
        about = os.stat(name, dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        return None
    if not stat.S_ISLNK(about.st_mode):
        return None
    if os.geteuid() == 0 and about.st_uid != 0:
        raise OSError(errno.ELOOP, "a symbolic link of another user than root is in the way")
    return os.readlink(name, dir_fd=directory)


def put(directory: int, name: str, content: bytes, mode: int = 0o644) -> None:
    """Write a file in one step: it is there as a whole or not at all. Raises OSError.

    `directory` is a descriptor. A file, link or FIFO that has the name already is replaced; nothing
    is written into it.
    """
    draft = f".{name}.{os.getpid()}"
    try:
        os.unlink(draft, dir_fd=directory)
    except FileNotFoundError:
        pass
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(draft, flags, 0o600, dir_fd=directory)
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(content)
        os.replace(draft, name, src_dir_fd=directory, dst_dir_fd=directory)
    except OSError:
        try:
            os.unlink(draft, dir_fd=directory)
        except OSError:
            pass
        raise


def try_out(path: str) -> None:
    """Write a file into a directory as `put` does, and remove it. Raises OSError."""
    opened = open_directory(path)
    try:
        put(opened, _TRIED, b"")
        os.unlink(_TRIED, dir_fd=opened)
    finally:
        os.close(opened)
