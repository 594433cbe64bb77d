"""What the kernel lets this container do, and what its limits have done to it."""

from __future__ import annotations

import os

# linux/capability.h
CAP_SETPCAP, CAP_SYS_PTRACE, CAP_SYS_ADMIN = 8, 19, 21
# What root needs to give files to the runner's user, to become that user, and to signal its
# processes.
_NEEDED = {"CHOWN": 0, "DAC_OVERRIDE": 1, "KILL": 5, "SETGID": 6, "SETUID": 7}
_MNT_DETACH, _UMOUNT_NOFOLLOW = 2, 8  # sys/mount.h
# cgroup v2, then v1; inside a container each shows its own group (cgroup_namespaces(7)).
_MEMORY_EVENTS = (
    "/sys/fs/cgroup/memory.events",
    "/sys/fs/cgroup/memory/memory.oom_control",
)


def has_capability(capability: int, kind: str = "CapBnd") -> bool:
    """Return whether this process has a capability in a set that /proc/PID/status calls `kind`."""
    with open("/proc/self/status", encoding="ascii", errors="replace") as status:
        sets = dict(line.split(":\t", 1) for line in status if line.startswith("Cap"))
    return bool(int(sets[kind], 16) >> capability & 1)


def missing_capabilities() -> list[str]:
    """Return the capabilities that root lacks for running programs as another user."""
    if os.geteuid() != 0:
        return []
    return [name for name, number in _NEEDED.items() if not has_capability(number, "CapEff")]


def mount_points() -> set[str]:
    """Return the paths at which something is mounted."""
    return {point for _, point in _mounts()}


def _mounts() -> list[tuple[str, str]]:
    """Return of each mount its root in its file system, and its path (proc(5), mountinfo)."""
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as mounts:
        written = [line.split(" ") for line in mounts]
    return [(_unescaped(words[3]), _unescaped(words[4])) for words in written]


def _unescaped(path: str) -> str:
    import re  # only here, because PID 1 does without it

    return re.sub(r"\\([0-7]{3})", lambda code: chr(int(code[1], 8)), path)


def may_unmount() -> bool:
    """Return whether root here may take mounts away, as under sysbox."""
    return has_capability(CAP_SYS_ADMIN, "CapEff")


def unmount(path: str) -> None:
    """Take away what is mounted at a path, for all processes of the container.

    Raises OSError. A file that is open stays readable for the process that has it open.
    """
    import ctypes  # takes 4 ms, and PID 1 never comes here

    libc = ctypes.CDLL(None, use_errno=True)
    if libc.umount2(os.fsencode(path), _MNT_DETACH | _UMOUNT_NOFOLLOW) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), path)


def has_mounts(folder: str) -> bool:
    """Return whether something is mounted at a folder or anywhere below it."""
    real = os.path.realpath(folder)
    return any(f"{point}/".startswith(f"{real}/") for point in mount_points())


def is_mounted_at_same_path(folder: str) -> bool:
    """Return whether a folder is, or is below, a bind mount that has the same path on the host.

    An engine that runs on the host then finds the folder under the path that jobs know.
    """
    real = os.path.realpath(folder)
    above = [(root, p) for root, p in _mounts() if p != "/" and f"{real}/".startswith(f"{p}/")]
    if not above:
        return False
    root, point = max(above, key=lambda pair: len(pair[1]))
    # If the host has mounted the file system at /srv, for example, `root` lacks the /srv of the
    # host's path.
    return root.endswith(point) or (root != "/" and point.endswith(root))


def pids_limit() -> int | None:
    """Return how many processes and threads this container may have; None without a limit."""
    for folder in _groups("pids"):
        try:
            with open(f"{folder}/pids.max", encoding="ascii") as file:
                limit = file.read().strip()
        except OSError:
            continue
        if limit.isdigit():
            return int(limit)
    return None


def _groups(controller: str) -> list[str]:
    """Return the folders in which our control group may be found (cgroups(7)).

    In a cgroup namespace of its own a container's group is the root that it sees; otherwise
    /proc/self/cgroup has the path.
    """
    try:
        with open("/proc/self/cgroup", encoding="utf-8", errors="replace") as file:
            lines = [line.rstrip("\n").split(":", 2) for line in file]
    except OSError:
        lines = []
    v1 = f"/sys/fs/cgroup/{controller}"
    folders = [v1 + path for _, names, path in lines if controller in names.split(",")]
    folders += [f"/sys/fs/cgroup{path}" for number, _, path in lines if number == "0"]
    return [*folders, v1, "/sys/fs/cgroup"]


def oom_kills() -> int:
    """Return how many processes of this container the out-of-memory killer has killed so far."""
    for path in _MEMORY_EVENTS:
        try:
            with open(path, encoding="ascii") as file:
                return next(int(line.split()[1]) for line in file if line.startswith("oom_kill "))
        except (OSError, StopIteration):
            continue
    return 0


def memory_peak() -> int | None:
    """Return this container's peak memory use in bytes; None where the kernel does not tell it."""
    for folder in _groups("memory"):
        for name in ("memory.peak", "memory.max_usage_in_bytes"):
            if (found := _number(f"{folder}/{name}")) is not None:
                return found
    return None


def cpu_seconds() -> float | None:
    """Return this container's processor time in seconds; None where the kernel does not tell it."""
    for folder in _groups("cpuacct"):
        if (nanoseconds := _number(f"{folder}/cpuacct.usage")) is not None:
            return round(nanoseconds / 1e9, 3)
        try:
            with open(f"{folder}/cpu.stat", encoding="ascii") as file:
                found = dict(line.split() for line in file)
        except (OSError, ValueError):
            continue
        if "usage_usec" in found:
            return round(int(found["usage_usec"]) / 1e6, 3)
    return None


def _number(path: str) -> int | None:
    try:
        with open(path, encoding="ascii") as file:
            return int(file.read())
    except (OSError, ValueError):
        return None


def free_disk(path: str) -> str:
    """Return the free space at a path, such as "12.3 GiB", or why it is not known."""
    try:
        found = os.statvfs(path)
    except OSError as error:  # a volume that has gone: perhaps the cause of the runner's end
        return f"{path}: {error.strerror}"
    return f"{found.f_bavail * found.f_frsize / 2**30:.1f} GiB"
