#!/opt/gh-runner/bin/python -I
"""The first program of the virtual machine: mounts, modules, network; then the image's program.

It does what libkrun's init does before a container's program. Normally it then becomes that
program, which is PID 1: the kernel panics when it ends, `panic=-1` turns that into a reboot, and
QEMU's `-no-reboot` into the end. With POWER_OFF=1 on the kernel's command line it stays PID 1 as
libkrun's init does today, starts the program as a child, and switches the machine off afterwards.
"""

import ctypes
import fcntl
import os
import socket
import struct
import time

LIBC = ctypes.CDLL(None, use_errno=True)
MODULES = "/modules"  # the files' names begin with numbers: the order in which they are loaded
FINIT_MODULE = {"x86_64": 313, "aarch64": 273}[os.uname().machine]
SIOCSIFFLAGS, SIOCSIFADDR, SIOCSIFNETMASK, SIOCADDRT = 0x8914, 0x8916, 0x891C, 0x890B
IFF_UP_RUNNING = 0x41
POWER_OFF = 0x4321FEDC  # linux/reboot.h
ADDRESS, GATEWAY, NETMASK = "10.0.2.15", "10.0.2.2", "255.255.255.0"  # of QEMU's user network
PROGRAM = ["/usr/bin/env", "--block-signal", "/usr/local/bin/gh-runner"]


def say(what: str) -> None:
    """Write a line on the console."""
    os.write(1, f"init: {what}\n".encode())


def check(result: int, what: str) -> None:
    """Print what has failed, and go on: the console is all that a test sees."""
    if result:
        say(f"{what}: {os.strerror(ctypes.get_errno())}")


def mount(source: str, target: str, kind: str) -> None:
    """Mount a file system."""
    os.makedirs(target, exist_ok=True)
    check(LIBC.mount(source.encode(), target.encode(), kind.encode(), 0, b""), f"mount {target}")


def load_modules() -> None:
    """Load the modules that the kernel needs for its devices."""
    for name in sorted(os.listdir(MODULES)):
        descriptor = os.open(f"{MODULES}/{name}", os.O_RDONLY)
        check(LIBC.syscall(FINIT_MODULE, descriptor, b"", 0), f"module {name}")
        os.close(descriptor)


def address(ip: str) -> bytes:
    """Return the address as a struct sockaddr_in."""
    return struct.pack("HH4s8s", socket.AF_INET, 0, socket.inet_aton(ip), b"")


def configure_network() -> None:
    """Give the only interface its address and the default route of QEMU's network."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        while not (names := [n for n in os.listdir("/sys/class/net") if n != "lo"]):
            time.sleep(0.01)
        for name in ("lo", names[0]):
            if name != "lo":
                for request, value in ((SIOCSIFADDR, ADDRESS), (SIOCSIFNETMASK, NETMASK)):
                    fcntl.ioctl(
                        control, request, struct.pack("16s16s", name.encode(), address(value))
                    )
            fcntl.ioctl(
                control, SIOCSIFFLAGS, struct.pack("16sH14s", name.encode(), IFF_UP_RUNNING, b"")
            )
        # struct rtentry: padding, destination, gateway, mask, flags (up, gateway), the rest zero.
        route = struct.pack(
            "L16s16s16sH70x", 0, address("0.0.0.0"), address(GATEWAY), address("0.0.0.0"), 3
        )
        fcntl.ioctl(control, SIOCADDRT, route)


def main() -> None:
    """Set up the machine, then become or start the program."""
    socket.sethostname("localhost")  # sudo resolves it
    with open("/etc/hosts", "w") as hosts:  # an engine makes this file for containers
        hosts.write("127.0.0.1 localhost\n")
    mount("proc", "/proc", "proc")
    mount("sys", "/sys", "sysfs")
    mount("dev", "/dev", "devtmpfs")
    for target in ("/run", "/tmp", "/dev/shm"):
        mount("tmpfs", target, "tmpfs")
    load_modules()
    configure_network()
    mount("shared", "/gh-runner", "virtiofs")
    environment = {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "RUNNER_ENVFILE": "/gh-runner/runner.env",
        "RUNNER_STATE_DIR": "/gh-runner/state",
    }
    if "POWER_OFF" not in os.environ:
        os.execve(PROGRAM[0], PROGRAM, environment)
    child = os.posix_spawn(PROGRAM[0], PROGRAM, environment)
    while (ended := os.wait())[0] != child:
        pass
    say(f"exit code {os.waitstatus_to_exitcode(ended[1])}")
    os.sync()
    LIBC.reboot(POWER_OFF)


if __name__ == "__main__":
    main()
