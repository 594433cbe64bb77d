"""A stand-in for a microVM and the runner in it: it reads and writes the shared folder.

Each line of $FAKE_DIR/lives is JSON, and plans one life; the last line plans all further ones.
Settings and arguments are recorded in $FAKE_DIR/seen.
"""

import fcntl
import json
import os
import signal
import sys
import time
from pathlib import Path

FAKE = Path(os.environ["FAKE_DIR"])


def main(shared: Path, arguments: list[str]) -> int:
    """Live one life, and return the exit code of PID 1."""
    settings = read_settings(shared / "runner.env")
    own = json.loads(next_line())
    if not own.get("leaves_settings"):
        (shared / "runner.env").unlink()
    with (FAKE / "seen").open("a") as file:
        json.dump({"settings": settings, "arguments": arguments, "pid": os.getpid()}, file)
        file.write("\n")
    if arguments:  # `sweep`
        return int(own.get("sweep", 0))
    for phase in own.get("phases", ["registering", "listening"]):
        enter(shared, phase)
    end = time.monotonic() + own.get("seconds", 1000)
    while time.monotonic() < end:
        if not own.get("deaf") and asked(shared, settings):
            time.sleep(own.get("drain", 0))
            enter(shared, "gone")
            return 143
        time.sleep(0.02)
    if own.get("tidy", True):
        enter(shared, "gone")
    return int(own.get("code", 0))


def next_line() -> str:
    """Take the next line of the plan; the last one is not removed."""
    path = FAKE / "lives"
    with path.open("r+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        first, *rest = file.read().splitlines()
        if rest:
            file.seek(0)
            file.truncate()
            file.write("\n".join(rest))
        return first


def read_settings(path: Path) -> dict[str, str]:
    """Return the variables of an env file; their values are in single quotes."""
    pairs = (line.split("=", 1) for line in path.read_text().splitlines())
    return {k: v[1:-1].replace("\\'", "'").replace("\\\\", "\\") for k, v in pairs}


def enter(shared: Path, phase: str) -> None:
    """Write state.json in one step, as the runner does."""
    try:
        (shared / "state/new").write_text(json.dumps({"phase": phase, "name": "x"}))
        (shared / "state/new").rename(shared / "state/state.json")
    except OSError:  # the folder has been deleted
        pass


def asked(shared: Path, settings: dict[str, str]) -> bool:
    """Return whether there is a stop file with the secret, and delete it."""
    try:
        right = (shared / "stop").read_text().strip() == settings["RUNNER_STOP_SECRET"]
        if right:
            (shared / "stop").unlink()
        return right
    except OSError:
        return False


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
