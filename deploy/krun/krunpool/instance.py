"""The folder of one orchestrator, and the folders of orchestrators that were killed."""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
from pathlib import Path

from krunpool.folder import Folder, is_locked

# Other programs have no such file: folders beside it are removed if no process holds its lock.
LOCK = "gh-runner-orchestrator.lock"


class Instance:
    """The folder of this orchestrator, whose lock tells others that it lives."""

    def __init__(self, directory: Path, prefix: str) -> None:
        """Make it; OSError if that fails."""
        self._directory = directory
        self.path = directory / f"{prefix}.{secrets.token_hex(4)}"
        self._lock = -1
        self.hold()

    def hold(self) -> None:
        """Make the folder, even if a clean-up of the system has deleted it, and take its lock."""
        if self._lock >= 0 and (self.path / LOCK).exists():
            return
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        about = os.stat(self._directory)
        if about.st_uid not in (0, os.geteuid()) or about.st_mode & 0o022:
            raise PermissionError(1, "others can write to it", str(self._directory))
        self.path.mkdir(mode=0o700, exist_ok=True)
        if self._lock >= 0:
            os.close(self._lock)
        self._lock = os.open(self.path / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def release(self) -> None:
        """Remove the folder, unless it contains a microVM that could not be ended."""
        if not self.folders(self.path):
            shutil.rmtree(self.path, ignore_errors=True)
        os.close(self._lock)

    def abandoned(self) -> list[Path]:
        """Return the folders whose orchestrators were killed."""
        locks = sorted(self._directory.glob(f"*.????????/{LOCK}"))
        return [x.parent for x in locks if x.parent != self.path and not is_locked(x)]

    @staticmethod
    def folders(path: Path) -> list[Folder]:
        """Return the folders of the microVMs of one orchestrator."""
        return [Folder(found) for found in sorted(path.glob("*")) if found.is_dir()]
