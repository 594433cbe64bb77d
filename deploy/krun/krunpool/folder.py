"""The files through which one microVM and the orchestrator talk."""

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

STATE_BYTES = 64 * 1024  # a genuine state.json is smaller; a job with root may write anything


class Folder:
    """The files through which one microVM and the orchestrator talk.

    The microVM sees `shared` only. The stop files are beside it, already written: a request for a
    stop is a rename, which works on a full disk as well.
    """

    def __init__(self, path: Path) -> None:
        """Keep the path; no folder is made."""
        self.path = path
        self.name = path.name
        self.shared = path / "shared"
        self.id_file = path / "id"
        self._record = path / "record.json"

    def make(self, settings: Mapping[str, str], secret: str, **record: Any) -> None:
        """Make it for a life with these settings; OSError if that fails, as on a full disk."""
        self.path.mkdir(mode=0o700, parents=True)
        # In the microVM jobs must get through to `state`, where the hook of until-job is.
        for folder in (self.shared, self.shared / "state"):
            folder.mkdir()
            folder.chmod(0o711)  # whatever the umask is
        self.note(**record)
        for number in (1, 2):
            _write_private(self.path / f"stop.{number}", secret + "\n")
        lines = [f"{name}={_quoted(value)}\n" for name, value in settings.items()]
        _write_private(self.shared / "runner.env", "".join(lines))

    def note(self, **record: Any) -> None:
        """Write down what a later orchestrator needs for ending this microVM."""
        _write_private(self._record, json.dumps(record))

    def record(self) -> dict[str, Any]:
        """Return the values of `note`; empty if they were not written completely."""
        with suppress(OSError, ValueError):
            noted = json.loads(self._record.read_text(encoding="utf-8"))
            return noted if isinstance(noted, dict) else {}
        return {}

    def id(self) -> str:
        """Return the engine's id of the container; until that is known, its unique name."""
        with suppress(OSError):
            return self.id_file.read_text(encoding="ascii").strip() or self.name
        return self.name

    def phase(self) -> str:
        """Return the phase that the runner has written; "" if it cannot be read.

        Root in the microVM can put anything there. So no link is followed, which could lead out of
        this folder, and the only thing that is read is one short word.
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
        """Move the next stop file to where the runner looks; OSError if that fails."""
        for number in (1, 2):
            with suppress(FileNotFoundError):
                os.stat(self.shared)
                os.rename(self.path / f"stop.{number}", self.shared / "stop")
                return
        raise FileNotFoundError(2, os.strerror(2), str(self.shared))

    def remove(self) -> None:
        """Remove it; links that a job may have put there are not followed."""
        shutil.rmtree(self.path, ignore_errors=True)


def _write_private(path: Path, text: str) -> None:
    """Write a new file in one step, which only its owner can read."""
    new = path.with_name(f"{path.name}.new")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with open(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    os.rename(new, path)


def _quoted(value: str) -> str:
    """Return a value in single quotes for an env file; they keep all but two characters."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def is_locked(path: Path) -> bool:
    """Return whether a process holds the lock of a file; False if there is no file."""
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
