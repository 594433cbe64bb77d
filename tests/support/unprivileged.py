"""Run a command as an ordinary user, even if the interpreter is in root's home directory.

Usage: unshare --mount python tests/support/unprivileged.py UID:GID COMMAND… In the new mount
namespace each directory that the user may not enter, and that holds something needed, is covered by
another one that the user may enter.
"""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
from pathlib import Path

USER = "nobody"
_PROJECT = Path(__file__).resolve().parents[2]
_NEEDED = [_PROJECT, Path(sys.prefix).resolve(), Path(sys.base_prefix).resolve()]
_ROOM = Path("/mnt")  # becomes a tmpfs in the new namespace, for the covers


def prefix(ids: str = "") -> list[str]:
    """Return the words that run the command after them as `UID:GID`, or as `nobody`; needs root."""
    account = pwd.getpwnam(USER)
    ids = ids or f"{account.pw_uid}:{account.pw_gid}"
    return ["unshare", "--mount", sys.executable, str(Path(__file__).resolve()), ids]


def _cover() -> None:
    hidden: dict[Path, list[Path]] = {}
    for path in _NEEDED:
        closed = [p for p in reversed(path.parents) if not p.stat().st_mode & 0o001]
        if closed:
            hidden.setdefault(closed[0], []).append(path)
    _mount("-t", "tmpfs", "-o", "mode=755", "none", str(_ROOM))
    for number, (directory, needed) in enumerate(hidden.items()):
        cover = _ROOM / str(number)
        for path in needed:
            target = cover / path.relative_to(directory)
            target.mkdir(parents=True, exist_ok=True)
            _mount("--bind", str(path), str(target))
        _mount("--rbind", str(cover), str(directory))


def _mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True)


def _become(ids: str) -> None:
    uid, gid = map(int, ids.split(":"))
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)


if __name__ == "__main__":
    _cover()
    _become(sys.argv[1])
    os.execvp(sys.argv[2], sys.argv[2:])
