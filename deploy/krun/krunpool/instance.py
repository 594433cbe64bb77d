"""The folder of one orchestrator, and those that were left by killed ones."""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
from pathlib import Path

from krunpool.folder import Folder, is_locked

# No other program has such a file: what lies beside it is removed if nobody holds its lock.
LOCK = "gh-runner-orchestrator.lock"


class Instance:
    """The folder of this orchestrator; held by a lock, so that others know that it lives."""

    def __init__(self, directory: Path, prefix: str) -> None:
        """Make it; OSError if that is not possible."""
        self._directory = directory
        self.path = directory / f"{prefix}.{secrets.token_hex(4)}"
        self._lock = -1
        self.hold()

    def hold(self) -> None:
        """Make the folder, again if somebody has tidied it away, and hold its lock."""
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
        """Remove the folder, unless a microVM could not be ended and is in there."""
        if not self.folders(self.path):
            shutil.rmtree(self.path, ignore_errors=True)
        os.close(self._lock)

    def abandoned(self) -> list[Path]:
        """Return the folders of orchestrators that were killed."""
        locks = sorted(self._directory.glob(f"*.????????/{LOCK}"))
        return [x.parent for x in locks if x.parent != self.path and not is_locked(x)]

    @staticmethod
    def folders(path: Path) -> list[Folder]:
        """Return the folders of the microVMs in one of these."""
        return [Folder(found) for found in sorted(path.glob("*")) if found.is_dir()]
