"""Files that root writes at places which a job may be able to change.

A job could put a link, a FIFO or a device there. So a directory is opened once, and files in it
are made by that descriptor, under a name that did not exist, without following a link (openat(2)).
"""

from __future__ import annotations

import os
from contextlib import suppress


def make_directory(path: str) -> None:
    """Make a directory that everybody may read, whatever the umask. Raises OSError."""
    before = os.umask(0o022)
    try:
        os.makedirs(path, exist_ok=True)
    finally:
        os.umask(before)


def open_directory(path: str) -> int:
    """Make a directory if need be, and open it; a link in its place is refused. Raises OSError."""
    make_directory(path)
    return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)


def put(directory: int, name: str, content: bytes, mode: int = 0o644) -> None:
    """Put a file in its place, whole or not at all. Raises OSError.

    `directory` is a descriptor. Whatever else has the name is replaced, and not written to.
    """
    draft = f".{name}.{os.getpid()}"
    with suppress(FileNotFoundError):
        os.unlink(draft, dir_fd=directory)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(draft, flags, 0o600, dir_fd=directory)
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(content)
        os.replace(draft, name, src_dir_fd=directory, dst_dir_fd=directory)
    except OSError:
        with suppress(OSError):
            os.unlink(draft, dir_fd=directory)
        raise
