"""Files that root writes into directories which a job may be able to change.

A job could put a link, a FIFO or a device there, and root would write through it. So a directory
is opened once, and all else is done relative to that descriptor (openat(2)). A file is made under
a new name, without following a link.
"""

from __future__ import annotations

import os
from contextlib import suppress


def make_directory(path: str) -> None:
    """Make a directory that every user may read, whatever the umask is. Raises OSError."""
    before = os.umask(0o022)
    try:
        os.makedirs(path, exist_ok=True)
    finally:
        os.umask(before)


def open_directory(path: str) -> int:
    """Open a directory, and make it if it is missing. Raises OSError, also for a symbolic link."""
    make_directory(path)
    return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)


def put(directory: int, name: str, content: bytes, mode: int = 0o644) -> None:
    """Write a file in one step: it is there as a whole or not at all. Raises OSError.

    `directory` is a descriptor. A file, link or FIFO that has the name already is replaced; nothing
    is written into it.
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
