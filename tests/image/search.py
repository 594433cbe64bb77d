"""Look for a secret wherever a process can look; run by a job, in the container's own Python.

Usage: search.py SECRET-IN-BASE64: the text itself must be nowhere but where it is looked for.
"""

import base64
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path


def main() -> None:
    """Print each place on a line of its own."""
    secret = base64.b64decode(sys.argv[1])
    say("looking as uid", os.geteuid())
    for process in Path("/proc").glob("[0-9]*"):
        if process.name != str(os.getpid()):
            for place in (*in_texts(process, secret), *in_memory(process, secret)):
                say("FOUND in", place)
    for file in in_files(secret):
        say("FOUND in", file)
    say("looked everywhere")


def say(*words: object) -> None:
    """One line of the job's log."""
    sys.stdout.write(" ".join(map(str, words)) + "\n")


def in_texts(process: Path, secret: bytes) -> Iterator[Path]:
    """Environment, command line, and files that only have a descriptor."""
    descriptors = process / "fd"
    names = os.listdir(descriptors) if os.access(descriptors, os.R_OK) else []
    nameless = [descriptors / n for n in names if "memfd:" in target(descriptors / n)]
    for path in (process / "environ", process / "cmdline", *nameless):
        try:
            if secret in path.read_bytes():
                yield path
        except OSError:
            continue


def target(link: Path) -> str:
    """Where a descriptor points to, or "" if it is gone."""
    try:
        return os.readlink(link)
    except OSError:
        return ""


def in_memory(process: Path, secret: bytes) -> Iterator[Path]:
    """All that is mapped writable."""
    try:
        maps = (process / "maps").read_text()
        with open(process / "mem", "rb", buffering=0) as memory:
            for low, high in re.findall(r"^(\w+)-(\w+) rw", maps, re.MULTILINE):
                if secret in region(memory.fileno(), int(low, 16), int(high, 16)):
                    yield process / "mem"
                    return
    except OSError:
        return


def region(memory: int, low: int, high: int) -> bytes:
    """One region, or nothing if the kernel does not give it."""
    try:
        return os.pread(memory, high - low, low)
    except (OSError, OverflowError):
        return b""


def in_files(secret: bytes) -> list[str]:
    """Every file of every file system but the kernel's own."""
    command = ["grep", "-r", "-l", "--devices=skip", "--exclude-dir=proc", "--exclude-dir=sys"]
    given = subprocess.run(
        [*command, "-F", "-f", "/dev/stdin", "/"], input=secret, capture_output=True, check=False
    )
    return given.stdout.decode().splitlines()


if __name__ == "__main__":
    main()
