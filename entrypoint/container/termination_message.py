"""The last sentence, left where Kubernetes looks for it: `kubectl describe pod` shows it.

The kubelet mounts an empty file, which everybody may write to, at the path below, and reads it
when the container has ended (`terminationMessagePath` of the pod). A job can write there as well.
"""

from __future__ import annotations

import os
import stat

from entrypoint import log
from entrypoint.redaction import redact

PATH = "/dev/termination-log"
LIMIT = 2048  # bytes; the kubelet reads 4096, and 12 KiB of all containers of a pod together


def leave(*sentences: str, path: str = PATH) -> None:
    """Put the sentences there, in one line without secrets, in place of whatever the file holds.

    Nothing happens where the file is missing, is no plain file, or cannot be written to.
    """
    try:
        # Not made, no link followed, no FIFO waited for: a job may have put something there.
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
