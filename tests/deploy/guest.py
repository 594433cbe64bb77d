r"""A machine of the tests' own: a Debian that systemd boots, with Docker, Compose and podman.

It runs in systemd-nspawn, in a network that has only the guest and the simulator. debootstrap
makes its root once; what a test run changes is kept in memory, some 1 GB.

    with Guest(cache()) as guest:                  # booted; about three seconds
        guest.run("systemctl", "start", "x")       # AssertionError with the output if it fails
        guest.write("/etc/x.conf", "a=1\n")
        guest.reboot()                             # or guest.crash(), as a loss of power does

`guest.listen()` is a socket for a server of the tests; programs in the guest reach it as GITHUB.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any, Self

from tests.support.life import until
from tests.support.wire_tap import in_network_of

HERE = Path(__file__).parent
SUITE = "trixie"
ADDRESS = "192.0.2.1"  # for documentation (RFC 5737): no network uses it
PORT = 8080
GITHUB = f"http://{ADDRESS}:{PORT}"
BOOT_SECONDS = 120  # a loaded machine is slow
RUN_SECONDS = 180
KEEP_SECONDS = 14 * 24 * 3600
POWER_OFF = signal.SIGRTMIN + 4  # systemd(1)
SYSTEMD_ON_HOST = os.path.isdir("/run/systemd/system")
UNIFIED = next(
    (
        path
        for path in map(Path, ("/sys/fs/cgroup/unified", "/sys/fs/cgroup"))
        if (path / "cgroup.procs").exists()
    ),
    Path(),
)
ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C"}
# Directories that must not be on an overlay, because engines mount overlays of their own there.
OWN_DISK = {"docker": "/var/lib/docker", "containers": "/var/lib/containers", "home": "/home"}


def cache() -> Path:
    """Return the folder that keeps roots from one run to the next; $GH_RUNNER_CACHE moves it."""
    return Path(os.environ.get("GH_RUNNER_CACHE", "/var/cache/gh-runner"))


def make_root(directory: Path, suite: str = SUITE, packages: Path = HERE / "packages") -> Path:
    """Return a root with these packages; if there is none yet, make it in about a minute."""
    script = HERE / "debian-guest"
    content = script.read_bytes() + packages.read_bytes()
    root = directory / f"{suite}-{hashlib.sha256(content).hexdigest()[:12]}"
    directory.mkdir(parents=True, exist_ok=True)
    with _lock(directory / "lock"):
        if not root.exists():
            with tempfile.TemporaryDirectory(dir=directory) as making:
                made = Path(making, "root")
                made.mkdir(mode=0o755)
                subprocess.run([script, suite, packages, made], check=True)
                made.rename(root)
            _remove_old(directory, root)
        os.utime(root)
    return root


def _remove_old(directory: Path, root: Path) -> None:
    """Remove roots that no run has used for long: the list of packages has changed since."""
    for other in directory.glob("*-" + "?" * 12):
        if other != root and time.time() - other.stat().st_mtime > KEEP_SECONDS:
            shutil.rmtree(other)


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


class Guest:
    """A machine that is booted for as long as the context lasts."""

    def __init__(self, directory: Path, suite: str = SUITE, packages: str = "packages") -> None:
        """Choose the folder of the roots, and the version of Debian; nothing is booted."""
        self._root = make_root(directory, suite, HERE / packages)
        self._runs = directory / "runs"
        self._exits = ExitStack()
        self._nspawn: subprocess.Popen[bytes] | None = None
        self._ground = 0  # pid of a process that keeps network and disk, also through reboots
        self._leader = 0  # PID 1 of the guest, as a pid of the host
        self._group_inside = ""
        self.disk = Path()

    def __enter__(self) -> Self:
        """Boot it."""
        with self._exits as exits:
            self.disk = exits.enter_context(_disk(self._runs))
            self._ground = exits.enter_context(_ground(self.disk / "machine", self._root))
            exits.callback(self.crash)
            self.boot()
            self._exits = exits.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        """End it, and delete its changes."""
        self._exits.close()

    def boot(self) -> None:
        """Boot it, and wait until systemd has started every unit."""
        assert self._nspawn is None
        notices = self.disk / "notify"
        notices.unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            notify.bind(str(notices))
            notify.settimeout(BOOT_SECONDS)
            with (self.disk / "console").open("ab") as console:
                self._nspawn = self._start(console, notices)
            self._leader = self._wait_until_ready(notify)
        groups = Path(f"/proc/{self._leader}/cgroup").read_text()
        path = next(line[3:] for line in groups.splitlines() if line.startswith("0::"))
        self._group_inside = f"{UNIFIED}{path}/cgroup.procs"

    def _start(self, console: IO[bytes], notices: Path) -> subprocess.Popen[bytes]:
        machine = self.disk / "machine"
        binds = [f"--bind={machine / name}:{path}" for name, path in OWN_DISK.items()]
        command = [
            *("systemd-nspawn", "--quiet", "--boot", "--register=no", "--link-journal=no"),
            *("--notify-ready=yes", "--console=pipe", "--capability=all", "--bind=/dev/fuse"),
            "--system-call-filter=@mount @keyring bpf perf_event_open",
            f"--network-namespace-path=/proc/{self._ground}/ns/net",
            *(f"--machine={self.disk.name}", f"--directory={machine}/root", *binds),
        ]
        if not SYSTEMD_ON_HOST:
            command.append("--keep-unit")  # without systemd on the host no unit can be made
        enter = ["nsenter", f"--target={self._ground}", "--mount", "--"]
        return subprocess.Popen(
            [*enter, "sh", "-c", 'echo $$ >"$0" && exec "$@"', self._group(), *command],
            env={
                **ENVIRONMENT,
                "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1",
                "NOTIFY_SOCKET": str(notices),
            },
            stdin=subprocess.DEVNULL,
            stdout=console,
            stderr=console,
            start_new_session=True,
        )

    def _group(self) -> str:
        """Return the file that moves a process into a control group of this guest's own.

        Without systemd on the host, two guests would otherwise share the control group of the
        tests.
        """
        if SYSTEMD_ON_HOST:
            return "/dev/null"
        group = UNIFIED / self.disk.name
        group.mkdir(exist_ok=True)
        return str(group / "cgroup.procs")

    def _wait_until_ready(self, notify: socket.socket) -> int:
        leader = 0
        while True:
            try:
                notice = notify.recv(4096).decode()
            except TimeoutError:
                raise AssertionError(f"the guest does not boot: {self.console()}") from None
            values = dict(line.split("=", 1) for line in notice.splitlines() if "=" in line)
            leader = int(values.get("X_NSPAWN_LEADER_PID", leader))
            if leader and values.get("READY") == "1":
                return leader

    def power_off(self) -> None:
        """Shut it down as `poweroff` does: each unit is stopped, and the disk is flushed."""
        os.kill(self._leader, POWER_OFF)
        self._gone()

    def crash(self) -> None:
        """Kill it as a loss of power does, without any notice; do nothing if it is off."""
        if self._nspawn is not None:
            # Before the guest is up its leader is 0, and kill(0) would mean our own process group.
            os.kill(self._leader or self._nspawn.pid, signal.SIGKILL)
            self._gone()

    def _gone(self) -> None:
        assert self._nspawn is not None
        try:
            self._nspawn.wait(BOOT_SECONDS)
        except subprocess.TimeoutExpired:
            self._nspawn.kill()
            self._nspawn.wait()
            raise AssertionError(f"the guest does not shut down: {self.console()}") from None
        finally:
            self._nspawn, self._leader = None, 0
            self._clear()

    def _clear(self) -> None:
        """Remove the directories that nspawn and the kernel leave on the host."""
        shutil.rmtree(Path("/run/systemd/nspawn/propagate", self.disk.name), ignore_errors=True)
        _remove_group(UNIFIED / self.disk.name)

    def reboot(self) -> None:
        """Shut it down and boot it again; its files stay."""
        self.power_off()
        self.boot()

    def console(self) -> str:
        """Return the last lines that it has printed while it booted or shut down."""
        return (self.disk / "console").read_text(errors="replace")[-2000:]

    def command(self, *words: str, user: str = "") -> list[str]:
        """Return a command line for the host that runs a command in the guest."""
        # Into a control group of the guest, since its logind ignores other processes.
        join = ["sh", "-c", 'echo $$ >"$0" && exec "$@"', self._group_inside]
        enter = ["nsenter", f"--target={self._leader}", "--all", "--root", "--wd", "--"]
        if not user:
            return [*join, *enter, *words]
        # In a session of this user, as `su` or `ssh` begins one.
        become = ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups", "--"]
        return [*join, *enter, *become, *words]

    def run(self, *words: str, check: bool = True, user: str = "", **options: Any) -> str:
        """Run a command and return its output, both streams in one; AssertionError if it fails."""
        done = self.attempt(*words, user=user, **options)
        assert not check or done.returncode == 0, f"{' '.join(words)}: {done.stdout}"
        return str(done.stdout).strip()

    def attempt(
        self, *words: str, user: str = "", **options: Any
    ) -> subprocess.CompletedProcess[str]:
        """Run a command that may fail; both streams are in `stdout`. It finds `user`'s systemd."""
        return subprocess.run(
            self.command(*words, user=user),
            check=False,
            **{**self._usual(user), "timeout": RUN_SECONDS, **options},
        )

    def begin(self, *words: str, user: str = "", **options: Any) -> subprocess.Popen[str]:
        """Start a command without waiting for it; both streams are in `stdout`."""
        return subprocess.Popen(self.command(*words, user=user), **{**self._usual(user), **options})

    def _usual(self, user: str) -> dict[str, Any]:
        environment = {**ENVIRONMENT, "HOME": f"/home/{user}" if user else "/root"}
        if user:
            uid = self.run("id", "-u", user)
            environment["XDG_RUNTIME_DIR"] = f"/run/user/{uid}"
            environment["DBUS_SESSION_BUS_ADDRESS"] = f"unix:path=/run/user/{uid}/bus"
        return {
            "env": environment,
            "stdout": subprocess.PIPE,
            "stderr": subprocess.STDOUT,
            "text": True,
        }

    def write(self, path: str, content: str, mode: int = 0o644) -> None:
        """Write a file, and the directories that lead to it."""
        make = 'mkdir -p "${0%/*}" && cat >"$0" && chmod "$1" "$0"'
        self.run("sh", "-c", make, path, f"{mode:o}", input=content)

    def listen(self, port: int = PORT) -> socket.socket:
        """Return a socket that listens in the guest's network and survives a reboot."""
        return in_network_of(self._ground, lambda: socket.create_server(("", port)))


@contextmanager
def _disk(runs: Path) -> Iterator[Path]:
    """A directory for one run; directories of runs that were killed are removed."""
    runs.mkdir(parents=True, exist_ok=True)
    with ExitStack() as exits:
        with _lock(runs.parent / "lock"):
            for old in runs.iterdir():
                _remove_if_left(old)
            disk = runs / f"gh-runner-guest-{secrets.token_hex(4)}"  # also its host name
            disk.mkdir()
            exits.callback(shutil.rmtree, disk)
            exits.enter_context(_lock(disk / "lock"))
        yield disk


def _remove_if_left(disk: Path) -> None:
    try:
        with (disk / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _remove_group(UNIFIED / disk.name)
            shutil.rmtree(disk)
    except BlockingIOError:  # in use
        return


def _remove_group(group: Path) -> None:
    """Kill all processes of a control group, and remove the group."""
    if not group.exists():
        return
    (group / "cgroup.kill").write_text("1")
    until(lambda: "populated 0" in (group / "cgroup.events").read_text())
    for directory, _, _ in os.walk(group, topdown=False):
        os.rmdir(directory)


@contextmanager
def _ground(machine: Path, root: Path) -> Iterator[int]:
    """Keep a machine's network and disk for as long as a process lives; yield its pid.

    The network has ADDRESS, and a default route that leads nowhere. The interface of that route has
    another address, because rootless podman gives its containers the interface's address: they
    would talk to themselves. The disk is in memory, so that no test waits for the host's, and
    nothing is left of it.
    """
    layers = f"lowerdir={root},upperdir={machine}/upper,workdir={machine}/work"
    script = f"""
        mkdir {machine}
        mount -t tmpfs guest {machine}
        cd {machine}
        mkdir upper work root {" ".join(OWN_DISK)}
        mount -t overlay -o {layers} guest root
        ip link set lo up
        ip address add {ADDRESS}/32 dev lo
        ip link add uplink type veth peer name cable
        ip address add 198.51.100.1/24 dev uplink
        ip link set uplink up
        ip link set cable up
        ip route add default via 198.51.100.2 dev uplink
        echo ready
        exec cat
    """
    with subprocess.Popen(
        ["unshare", "--net", "--mount", "--propagation=private", "sh", "-ec", script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        yield process.pid
        process.stdin.close()
