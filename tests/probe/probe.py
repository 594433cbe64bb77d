"""Look for secrets wherever a process can look. A step of a job runs this program.

Usage: probe.py NEEDLES DIRECTORY... [--until FILE]

NEEDLES is a file that `write` has made. It disguises the secrets, so that the probe does not find
them in its own input. The output is a line of JSON after PROBE: `found` has a name, a form and a
place for each secret; `looked` has the number of places of each kind that could be read. With
--until the probe looks again and again until FILE exists. Standard library only, Python 3.9.
"""

import base64
import contextlib
import ctypes
import json
import os
import platform
import re
import stat
import sys
import time
import urllib.parse
from collections import Counter
from collections.abc import Iterator

MASK = 0x5A
LARGEST = 1 << 25  # bytes of one file
CHUNK = 1 << 24
KEYCTL = {"x86_64": 250, "aarch64": 219}
KEYCTL_READ = 11
SHM_RDONLY = 0o10000


def disguise(data: bytes) -> bytes:
    """Make a secret unrecognizable, or a disguised one plain again."""
    return bytes(byte ^ MASK for byte in data)


def write(path: str, secrets: "dict[str, str]") -> None:
    """Write the secrets and their names into a file that every user may read."""
    hidden = {name: disguise(secret.encode()).hex() for name, secret in secrets.items()}
    with open(path, "w", encoding="ascii") as file:
        json.dump(hidden, file)
    os.chmod(path, 0o644)


def load(path: str) -> "dict[str, bytes]":
    """Return the secrets by their names."""
    with open(path, encoding="ascii") as file:
        return {name: disguise(bytes.fromhex(code)) for name, code in json.load(file).items()}


def forms(secret: bytes) -> "dict[str, bytes]":
    """Return the forms of a secret: plain, as JavaScript and .NET hold it, encoded."""
    found = {"plain": secret, "UTF-16": secret.decode().encode("utf-16-le")}
    url = urllib.parse.quote(secret, safe="").encode()
    if url != secret:
        found["URL"] = url
    # Within a longer text base64 has three forms, by where the secret begins.
    for offset in range(3):
        code = base64.b64encode(b"\0" * offset + secret)
        first, last = -(-offset * 8 // 6), (offset + len(secret)) * 8 // 6
        found[f"base64+{offset}"] = code[first:last]
        found[f"base64url+{offset}"] = base64.urlsafe_b64encode(b"\0" * offset + secret)[first:last]
    return found


class Probe:
    """One look at everything."""

    def __init__(self, needles: "dict[str, bytes]", directories: "list[str]") -> None:
        self.found: list[tuple[str, str, str]] = []
        self.looked: Counter[str] = Counter()
        self._directories = directories
        self._patterns: dict[tuple[str, bytes], list[str]] = {}  # two forms can be the same
        for name, secret in needles.items():
            for form, pattern in forms(secret).items():
                self._patterns.setdefault((name, pattern), []).append(form)

    def look(self) -> None:
        """Look everywhere."""
        for name in os.listdir("/proc"):
            if name.isdigit():
                self._process(int(name))
        for directory in self._directories:
            for path in _files(directory):
                self._file("file", path)
        self._keys()
        self._shared_memory()

    def _search(self, kind: str, place: str, data: bytes) -> None:
        for (name, pattern), same in self._patterns.items():
            if pattern in data:
                self.found += [(name, form, place) for form in same]
        self.looked[kind] += 1

    def _file(self, kind: str, path: str, place: str = "") -> None:
        """Search a regular file that can be opened; pass over anything else."""
        with contextlib.suppress(OSError):
            # Opening a FIFO would wake the process at its other end.
            if stat.S_ISREG(os.stat(path).st_mode):
                with open(path, "rb") as file:
                    self._search(kind, place or path, file.read(LARGEST))

    def _process(self, pid: int) -> None:
        name = _comm(pid)
        for text in ("environ", "cmdline"):
            self._file(text, f"/proc/{pid}/{text}", f"{text} of {name}")
        with contextlib.suppress(OSError):
            for number in os.listdir(f"/proc/{pid}/fd"):
                self._file("fd", f"/proc/{pid}/fd/{number}", f"fd of {name}")
        if pid != os.getpid():
            for data in _memory(pid):
                self._search("mem", f"mem of {name}", data)

    def _keys(self) -> None:
        """Search the keys of the kernel's keyrings (keyctl(2))."""
        libc, buffer = ctypes.CDLL(None), ctypes.create_string_buffer(1 << 16)
        with contextlib.suppress(OSError):
            with open("/proc/keys", encoding="ascii", errors="replace") as keys:
                serials = [int(line.split()[0], 16) for line in keys]
            for serial in serials:
                size = libc.syscall(
                    KEYCTL[platform.machine()], KEYCTL_READ, serial, buffer, 1 << 16
                )
                if size > 0:
                    self._search("key", "keyring", buffer.raw[:size])

    def _shared_memory(self) -> None:
        """Search the segments of System V shared memory (shmat(2))."""
        libc = ctypes.CDLL(None)
        libc.shmat.restype = ctypes.c_void_p
        with contextlib.suppress(OSError):
            with open("/proc/sysvipc/shm", encoding="ascii") as segments:
                rows = [line.split() for line in segments][1:]
            for row in rows:
                address = libc.shmat(int(row[1]), None, SHM_RDONLY)
                if address not in (None, ctypes.c_void_p(-1).value):
                    self._search("shm", "shared memory", ctypes.string_at(address, int(row[3])))
                    libc.shmdt(ctypes.c_void_p(address))


def _comm(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as file:
            return "PID 1" if pid == 1 else file.read().strip()
    except OSError:
        return "nobody"


def _memory(pid: int) -> Iterator[bytes]:
    """Yield what is mapped readable, if the kernel lets us see it."""
    with contextlib.suppress(OSError):
        with open(f"/proc/{pid}/maps", encoding="utf-8", errors="replace") as maps:
            regions = re.findall(r"^(\w+)-(\w+) r", maps.read(), re.MULTILINE)
        with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
            for low, high in regions:
                with contextlib.suppress(OSError, OverflowError, ValueError):
                    yield _region(memory.fileno(), int(low, 16), int(high, 16))


def _region(memory: int, low: int, high: int) -> bytes:
    parts = []
    while low < high and (part := os.pread(memory, min(CHUNK, high - low), low)):
        parts.append(part)
        low += len(part)
    return b"".join(parts)


def _files(directory: str) -> Iterator[str]:
    for folder, _, names in os.walk(directory):
        for name in names:
            yield os.path.join(folder, name)


def main(argv: "list[str]") -> None:
    """Look, and print what was found."""
    until = argv.pop() if "--until" in argv else ""
    if until:
        argv.remove("--until")
    needles = load(argv[0])
    while True:
        probe, began = Probe(needles, argv[1:]), time.time()
        probe.look()
        told = {
            "uid": os.getuid(),
            "began": began,
            "ended": time.time(),
            "found": sorted(set(probe.found)),
            "looked": probe.looked,
        }
        sys.stdout.write(f"PROBE {json.dumps(told)}\n")
        sys.stdout.flush()
        if not until or os.path.exists(until):
            return


if __name__ == "__main__":
    main(sys.argv[1:])
