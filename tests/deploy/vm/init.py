#!/opt/gh-runner/bin/python -I
"""The first program of the virtual machine: mounts, modules, network; then our image's own program.

It does what libkrun's init does before a container's program, and becomes that program. Only with
POWER_OFF=1 on the kernel's command line does it stay PID 1 itself, as libkrun's init does today,
and switch the machine off in the end; otherwise our program is PID 1 and the kernel panics when it
ends, which `panic=-1` makes a reboot, and QEMU's `-no-reboot` the end.
"""

import ctypes
import fcntl
import os
import socket
import struct
import time

LIBC = ctypes.CDLL(None, use_errno=True)
MODULES = "/modules"  # files whose names begin with the order in which they are loaded
FINIT_MODULE = {"x86_64": 313, "aarch64": 273}[os.uname().machine]
SIOCSIFFLAGS, SIOCSIFADDR, SIOCSIFNETMASK, SIOCADDRT = 0x8914, 0x8916, 0x891C, 0x890B
IFF_UP_RUNNING = 0x41
POWER_OFF = 0x4321FEDC  # linux/reboot.h
ADDRESS, GATEWAY, NETMASK = "10.0.2.15", "10.0.2.2", "255.255.255.0"  # of QEMU's user network
PROGRAM = ["/usr/bin/env", "--block-signal", "/opt/gh-runner/bin/python", "-I", "-m", "entrypoint"]


def say(what: str) -> None:
    """Write a line on the console."""
    os.write(1, f"init: {what}\n".encode())


def check(result: int, what: str) -> None:
    """Say what has failed: there is nobody else to find out."""
    if result:
        say(f"{what}: {os.strerror(ctypes.get_errno())}")


def mount(source: str, target: str, kind: str) -> None:
    """Mount a file system."""
    os.makedirs(target, exist_ok=True)
    check(LIBC.mount(source.encode(), target.encode(), kind.encode(), 0, b""), f"mount {target}")


def load_modules() -> None:
    """Load what the kernel needs for its devices."""
    for name in sorted(os.listdir(MODULES)):
        descriptor = os.open(f"{MODULES}/{name}", os.O_RDONLY)
        check(LIBC.syscall(FINIT_MODULE, descriptor, b"", 0), f"module {name}")
        os.close(descriptor)


def address(ip: str) -> bytes:
    """Return a struct sockaddr_in."""
    return struct.pack("HH4s8s", socket.AF_INET, 0, socket.inet_aton(ip), b"")


def configure_network() -> None:
    """Give the one interface the address that QEMU expects, and the way out."""
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
    """Come up, and become or start our program."""
    socket.sethostname("localhost")  # sudo looks it up
    with open("/etc/hosts", "w") as hosts:  # a container's is made by its engine
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
