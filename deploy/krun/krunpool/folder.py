"""What one microVM and the orchestrator know of each other, in files."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import stat
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

STATE_BYTES = 64 * 1024  # no state.json of ours is larger; a job with root may write anything there


class Folder:
    """What one microVM and this program know of each other, in files.

    `shared` is all that the microVM sees. The stop files lie beside it, already written: to ask
    for a stop is then a rename, which a full disk does not prevent.
    """

    def __init__(self, path: Path) -> None:
        """Name a folder; nothing is made."""
        self.path = path
        self.name = path.name
        self.shared = path / "shared"
        self.id_file = path / "id"
        self._record = path / "record.json"

    def make(self, settings: Mapping[str, str], secret: str, **record: Any) -> None:
        """Make it for a life with these settings; OSError if there is no room for it."""
        self.path.mkdir(mode=0o700, parents=True)
        self.shared.mkdir(mode=0o700)
        (self.shared / "state").mkdir(mode=0o755)
        self.note(**record)
        for number in (1, 2):
            _write_private(self.path / f"stop.{number}", secret + "\n")
        lines = [f"{name}={_quoted(value)}\n" for name, value in settings.items()]
        _write_private(self.shared / "runner.env", "".join(lines))

    def note(self, **record: Any) -> None:
        """Write down what a later orchestrator needs to end this microVM."""
        _write_private(self._record, json.dumps(record))

    def record(self) -> dict[str, Any]:
        """Return what was noted; empty if that was not finished."""
        with suppress(OSError, ValueError):
            noted = json.loads(self._record.read_text(encoding="utf-8"))
            return noted if isinstance(noted, dict) else {}
        return {}

    def id(self) -> str:
        """Return what the engine calls the container; its unique name before that is known."""
        with suppress(OSError):
            return self.id_file.read_text(encoding="ascii").strip() or self.name
        return self.name

    def phase(self) -> str:
        """Return the phase that the runner has written down; "" if none can be read.

        Root in the microVM can put anything there, so no link is followed, out of this folder
        above all, and nothing is believed but one short word.
        """
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        try:
            state = os.open(self.shared / "state", flags | os.O_DIRECTORY)
            try:
                file = os.open("state.json", flags, dir_fd=state)
            finally:
                os.close(state)
            with open(file, "rb") as stream:
                if not stat.S_ISREG(os.fstat(file).st_mode):
                    return ""
                facts = json.loads(stream.read(STATE_BYTES))
        except (OSError, ValueError, RecursionError):
            return ""
        phase = facts.get("phase") if isinstance(facts, dict) else ""
        return phase if isinstance(phase, str) else ""

    def forget_settings(self) -> bool:
        """Delete the env file; return whether the runner had left it there."""
        try:
            (self.shared / "runner.env").unlink()
        except OSError:
            return False
        return True

    def ask_to_stop(self) -> None:
        """Put the next stop file where the runner looks; OSError if that is not possible."""
        for number in (1, 2):
            with suppress(FileNotFoundError):
                os.stat(self.shared)
                os.rename(self.path / f"stop.{number}", self.shared / "stop")
                return
        raise FileNotFoundError(2, os.strerror(2), str(self.shared))

    def remove(self) -> None:
        """Remove it, without following what a job may have put there."""
        shutil.rmtree(self.path, ignore_errors=True)


def _write_private(path: Path, text: str) -> None:
    """Write a new file that nobody but its owner reads, in one step."""
    new = path.with_name(f"{path.name}.new")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with open(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    os.rename(new, path)


def _quoted(value: str) -> str:
    """Return a value for an env file; single quotes keep all but these two characters."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def is_locked(path: Path) -> bool:
    """Return whether some process holds the lock of a file; False if there is none."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
