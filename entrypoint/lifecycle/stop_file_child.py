"""The child of PID 1 that looks for the stop file.

A job may be able to write to the folder, at least as root. So links, FIFOs and devices are never
opened, and a file counts only if it holds the secret.
"""

from __future__ import annotations

import os
import stat
import time
from typing import NoReturn

from entrypoint import log
from entrypoint.init.child import close_all_but
from entrypoint.init.signals import terminate

LOOK_EVERY = 1.0  # seconds; inotify(7) does not work across a virtual machine's shared folder
_MAX_SIZE = 4096  # bytes that are read; a secret is shorter
_Identity = tuple[int, int, int]


def watch(path: str, digest: str) -> NoReturn:
    """Look for the file until the parent ends; send a SIGTERM for each one with the secret."""
    parent = os.getppid()
    close_all_but(0, 1, 2)
    file = StopFile(path, digest)
    # If the parent is not PID 1 of its namespace, this process can outlive it.
    while os.getppid() == parent:
        if file.asks():
            log.info("stop_file.found", "a stop by file", path=path)
            terminate(parent)
        time.sleep(LOOK_EVERY)
    os._exit(0)


class StopFile:
    """The stop file's path, and the last file that was seen there."""

    def __init__(self, path: str, digest: str) -> None:
        """Take the path and the SHA-256 of the secret, in hexadecimal."""
        self._directory, self._name = os.path.split(path)
        self._path, self._digest = path, digest
        self._known: _Identity | None = None  # of the file that was read last
        self._warned: set[str] = set()

    def asks(self) -> bool:
        """Return whether a new file asks for a stop; if so, the file is deleted."""
        try:
            folder = os.open(self._directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            self._warn("the folder of RUNNER_STOP_FILE is gone", error.strerror)
            return False
        try:
            return self._judge(folder)
        except FileNotFoundError:
            return False
        except OSError as error:
            self._warn("RUNNER_STOP_FILE cannot be read", error.strerror)
            return False
        finally:
            os.close(folder)

    def _judge(self, folder: int) -> bool:
        about = os.stat(self._name, dir_fd=folder, follow_symlinks=False)
        identity = (about.st_ino, about.st_mtime_ns, about.st_size)
        if identity == self._known:
            return False
        self._known = identity
        if not stat.S_ISREG(about.st_mode):
            self._warn("RUNNER_STOP_FILE is ignored", "it is not a regular file")
            return False
        if not self._is_secret(self._read(folder)):
            self._warn("RUNNER_STOP_FILE is ignored", "it does not hold RUNNER_STOP_SECRET")
            return False
        try:
            os.unlink(self._name, dir_fd=folder)
        except OSError as error:  # a read-only mount; `_known` keeps it from counting twice
            log.debug("stop_file.kept", "the stop file stays", path=self._path, why=error.strerror)
        return True

    def _read(self, folder: int) -> bytes:
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        descriptor = os.open(self._name, flags, dir_fd=folder)
        with open(descriptor, "rb") as file:
            regular = stat.S_ISREG(os.fstat(descriptor).st_mode)
            return file.read(_MAX_SIZE) if regular else b""

    def _is_secret(self, content: bytes) -> bool:
        from hashlib import sha256  # loads OpenSSL, which is needed only once there is a file
        from hmac import compare_digest

        return compare_digest(sha256(content.strip()).hexdigest(), self._digest)

    def _warn(self, event: str, why: str | None) -> None:
        """Log each kind of warning once, because a job could cause it again and again."""
        if event not in self._warned:
            self._warned.add(event)
            log.warning("stop_file.ignored", event, path=self._path, why=why)
