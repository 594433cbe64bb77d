"""When a user's connections have last received something, as the kernel tells (sock_diag(7)).

It needs no privilege. `ss --info` shows the same.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator

_SOCK_DIAG, _BY_FAMILY = 4, 20  # NETLINK_SOCK_DIAG, SOCK_DIAG_BY_FAMILY
_REQUEST, _DUMP = 0x1, 0x300  # NLM_F_REQUEST, NLM_F_DUMP
_ERROR, _DONE = 2, 3  # NLMSG_ERROR, NLMSG_DONE
_TCP, _ESTABLISHED, _INFO = 6, 1, 2  # IPPROTO_TCP, TCP_ESTABLISHED, INET_DIAG_INFO
_HEADER = struct.Struct("=IHHII")  # nlmsghdr: length, kind, flags, sequence number, port
_QUESTION = struct.Struct("=BBBBI48s")  # inet_diag_req_v2
_OWNER = struct.Struct("=64xI4x")  # inet_diag_msg up to idiag_uid, and its end
_ATTRIBUTE = struct.Struct("=HH")  # rtattr: length, type
_LAST_DATA = struct.Struct("=52xI")  # tcp_info up to tcpi_last_data_recv, in milliseconds
_PATIENCE = 0.5  # seconds; the kernel answers within one millisecond
_LARGEST = 1 << 16  # bytes of one answer


def heard_lately(uid: int, seconds: float) -> bool:
    """Return whether a TCP connection of a user has received data within the last `seconds`.

    False where the kernel does not tell (gVisor, or a kernel without tcp_diag).
    """
    try:
        ages = [age for family in (socket.AF_INET, socket.AF_INET6) for age in _ages(family, uid)]
    except (OSError, struct.error):
        return False
    return min(ages, default=seconds * 1000) < seconds * 1000


def _ages(family: int, uid: int) -> Iterator[int]:
    """Yield for each connection how many milliseconds ago it has received data."""
    for message in _dump(family):
        if _OWNER.unpack_from(message)[0] != uid:
            continue
        rest = message[_OWNER.size :]
        while len(rest) >= _ATTRIBUTE.size:
            length, kind = _ATTRIBUTE.unpack_from(rest)
            if kind == _INFO:
                yield _LAST_DATA.unpack_from(rest, _ATTRIBUTE.size)[0]
            rest = rest[max(_ATTRIBUTE.size, (length + 3) & ~3) :]


def _dump(family: int) -> Iterator[bytes]:
    """Yield the kernel's description of each established TCP connection."""
    question = _QUESTION.pack(family, _TCP, 1 << (_INFO - 1), 0, 1 << _ESTABLISHED, b"")
    header = _HEADER.pack(_HEADER.size + len(question), _BY_FAMILY, _REQUEST | _DUMP, 1, 0)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _SOCK_DIAG) as kernel:
        kernel.settimeout(_PATIENCE)
        kernel.send(header + question)
        while True:
            answer = kernel.recv(_LARGEST)
            while answer:
                length, kind, *_ = _HEADER.unpack_from(answer)
                if kind in (_DONE, _ERROR):
                    return
                yield answer[_HEADER.size : length]
                answer = answer[max(_HEADER.size, (length + 3) & ~3) :]
