"""Why the container ended, in a file that Kubernetes reads: `kubectl describe pod` shows it.

The kubelet mounts an empty file at the path below (the pod's `terminationMessagePath`), and reads
it when the container has ended. Every user can write to it, so a job can as well.
"""

from __future__ import annotations

import os
import stat

from entrypoint import log
from entrypoint.redaction import redact

PATH = "/dev/termination-log"
LIMIT = 2048  # bytes; the kubelet reads 4096, and 12 KiB of all containers of a pod together


def leave(*sentences: str, path: str = PATH) -> None:
    """Replace the file's content by these sentences, in one line, with all secrets redacted.

    Does nothing if the file is missing, is not a plain file, or cannot be written to.
    """
    try:
        # A job may have put a link or a FIFO there: follow no link, wait for no reader, and create
        # no file.
        descriptor = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return
    try:
        about = os.fstat(descriptor)
        if stat.S_ISREG(about.st_mode) and about.st_nlink == 1:
            os.ftruncate(descriptor, 0)
            os.write(descriptor, _line(sentences))
    except OSError as error:
        log.debug(
            "termination_message.unwritten", "no termination message", path=path, why=error.strerror
        )
    finally:
        os.close(descriptor)


def _line(sentences: tuple[str, ...]) -> bytes:
    parts = (" ".join(redact(sentence).split()) for sentence in sentences)
    line = "; ".join(filter(None, parts)).encode(errors="backslashreplace")
    if len(line) <= LIMIT:
        return line
    end = " …".encode()
    return line[: LIMIT - len(end)].decode(errors="ignore").encode() + end
