"""Hide secrets in every place and form in which a probe looks, and run a command.

Usage: python -m tests.probe.victim NEEDLES DIRECTORY COMMAND... The names of the needles are the
places.
"""

import ctypes
import os
import subprocess
import sys

from tests.probe.probe import forms, load

KEY_SPEC_SESSION_KEYRING = -3
IPC_CREAT = 0o1000
ADD_KEY = {"x86_64": 248, "aarch64": 217}


def main(argv: "list[str]") -> int:
    """Hide everything, run the command, and return its exit code."""
    needles, directory, *command = argv
    secrets = load(needles)
    kept = list(forms(secrets["memory"]).values())
    with open(os.path.join(directory, "hidden"), "wb") as file:
        file.write(secrets["file"])
    gone = os.path.join(directory, "gone")
    os.write(os.open(gone, os.O_RDWR | os.O_CREAT), secrets["deleted file"])
    os.unlink(gone)
    os.write(os.memfd_create("hidden"), secrets["memfd"])
    _add_key(secrets["key"])
    segment = _share(secrets["shared memory"])
    waiting = subprocess.Popen(
        ["sh", "-c", "read -r _", secrets["argv"]],
        env={b"X": secrets["environment"]},
        stdin=subprocess.PIPE,
    )
    try:
        return subprocess.run(command, check=False).returncode
    finally:
        waiting.kill()
        ctypes.CDLL(None).shmctl(segment, 0, None)  # IPC_RMID
        del kept


def _add_key(secret: bytes) -> None:
    number = ADD_KEY[os.uname().machine]
    libc = ctypes.CDLL(None)
    libc.syscall(number, b"user", b"hidden", secret, len(secret), KEY_SPEC_SESSION_KEYRING)


def _share(secret: bytes) -> int:
    libc = ctypes.CDLL(None)
    libc.shmat.restype = ctypes.c_void_p
    segment: int = libc.shmget(0, 4096, IPC_CREAT | 0o600)
    ctypes.memmove(libc.shmat(segment, None, 0), secret, len(secret))
    return segment


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
