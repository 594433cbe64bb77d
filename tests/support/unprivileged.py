"""Run a command as an ordinary user, also where root's home holds the interpreter.

As a program, `unshare --mount python tests/unprivileged.py COMMAND…`: in a mount namespace of
its own each directory that hides something needed is covered by one that does not.
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
_ROOM = Path("/mnt")  # in the private namespace a tmpfs, where the covers are built


def prefix() -> list[str]:
    """What to put before a command to run it as `nobody`; only root can."""
    return ["unshare", "--mount", sys.executable, str(Path(__file__).resolve())]


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


def _become(user: str) -> None:
    account = pwd.getpwnam(user)
    os.setgroups([])
    os.setgid(account.pw_gid)
    os.setuid(account.pw_uid)


if __name__ == "__main__":
    _cover()
    _become(USER)
    os.execvp(sys.argv[1], sys.argv[1:])
