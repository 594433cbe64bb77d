"""A virtual machine of QEMU's, without KVM, whose root is our container image."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from tests.image.engine import Engine
from tests.support.life import until

HERE = Path(__file__).parent
KERNEL = "linux-image-cloud-amd64"  # boots on QEMU with few drivers
MEMORY = "4G"  # the root takes half of it, and a runner wants 1 GiB of free memory
# In the order of loading: a module comes after those that it needs.
MODULES = [
    *("net/core/failover", "drivers/net/net_failover"),
    *("drivers/virtio/virtio_ring", "drivers/virtio/virtio"),
    *("drivers/virtio/virtio_pci_modern_dev", "drivers/virtio/virtio_pci_legacy_dev"),
    *("drivers/virtio/virtio_pci", "drivers/net/virtio_net", "fs/fuse/fuse", "fs/fuse/virtiofs"),
]
# The first is part of QEMU, the second its successor.
VIRTIOFSD = {
    "/usr/lib/qemu/virtiofsd": ["-o", "source={}", "-o", "cache=none"],
    "/usr/libexec/virtiofsd": ["--shared-dir={}", "--cache=never"],
}
# The kernel's message when PID 1 ends, with the wait status in hexadecimal.
PANIC = re.compile(r"Attempted to kill init! exitcode=0x([0-9a-f]{8})")
ENDED = re.compile(r"init: exit code (\d+)")


def kernel(directory: Path) -> Path:
    """Return a folder with a kernel and its modules, from Debian's package; fetched once."""
    done = subprocess.run(
        ["apt-cache", "depends", "--important", KERNEL], capture_output=True, text=True, check=True
    )
    package = re.findall(r"Depends: (linux-image-\S+)", done.stdout)[0]
    found = Path(directory, package)
    if not found.exists():
        with tempfile.TemporaryDirectory(dir=directory) as making:
            subprocess.run(["apt-get", "download", "--quiet=2", package], cwd=making, check=True)
            [archive] = Path(making).glob("*.deb")
            subprocess.run(["dpkg-deb", "--extract", archive, f"{making}/kernel"], check=True)
            Path(making, "kernel").rename(found)
    return found


def root(docker: Engine, image: str, kernel: Path, directory: Path) -> Path:
    """Return an initial RAM disk: the files of an image, with modules and a first program."""
    files = directory / "root"
    files.mkdir()
    container = docker("create", image)
    with subprocess.Popen([docker.program, "export", container], stdout=subprocess.PIPE) as export:
        subprocess.run(["tar", "-x", "-C", files], stdin=export.stdout, check=True)
    docker("rm", container)
    shutil.copy(HERE / "init.py", files / "init")
    (files / "init").chmod(0o755)
    (files / "modules").mkdir()
    [modules] = (kernel / "lib/modules").iterdir()
    for number, name in enumerate(MODULES):
        source = modules / "kernel" / f"{name}.ko"
        shutil.copy(source, files / "modules" / f"{number:02}-{source.name}")
    (files / "dev/console").unlink(missing_ok=True)  # Docker makes a file that is no device
    subprocess.run(["mknod", "-m", "600", files / "dev/console", "c", "5", "1"], check=True)
    archive = directory / "root.cpio"
    with archive.open("wb") as out:
        script = "find . | cpio --quiet --create --format=newc"
        subprocess.run(["sh", "-c", script], cwd=files, stdout=out, check=True)
    shutil.rmtree(files)
    return archive


class Machine:
    """A machine that is switched on; `console` is all that it has printed."""

    def __init__(self, process: subprocess.Popen[bytes], output: Path) -> None:
        """Take QEMU's process, and the file with the output of the serial line."""
        self._process, self._output = process, output

    @property
    def console(self) -> str:
        """The output of the serial line so far."""
        return self._output.read_text(errors="replace")

    @property
    def is_on(self) -> bool:
        """Whether it is still switched on."""
        return self._process.poll() is None

    def wait(self, timeout: float = 120) -> int:
        """Wait until it is off, and return the exit code of the program in it."""
        self._process.wait(timeout)
        if panic := PANIC.search(self.console):
            return int(panic[1], 16) >> 8
        ended = ENDED.search(self.console)
        assert ended, self.console[-2000:]
        return int(ended[1])


@contextmanager
def machine(kernel: Path, root: Path, shared: Path, *parameters: str) -> Iterator[Machine]:
    """Switch a machine on that shares a folder; it is off when the context ends."""
    with ExitStack() as exits:
        directory = Path(exits.enter_context(tempfile.TemporaryDirectory()))
        address = directory / "virtiofs"
        daemon, given = next(item for item in VIRTIOFSD.items() if Path(item[0]).exists())
        words = [word.format(shared) for word in given]
        exits.enter_context(_running(daemon, f"--socket-path={address}", *words))
        until(address.exists)
        [image] = (kernel / "boot").glob("vmlinuz-*")
        output = directory / "console"
        with output.open("wb") as console:
            command: list[Any] = [
                *("qemu-system-x86_64", "-accel", "tcg,thread=multi", "-M", "q35", "-cpu", "max"),
                *("-m", MEMORY, "-smp", "2", "-kernel", image, "-initrd", root),
                *("-append", " ".join(["console=ttyS0 panic=-1 rdinit=/init quiet", *parameters])),
                *("-display", "none", "-serial", "stdio", "-monitor", "none", "-no-reboot"),
                *("-nic", "user,model=virtio-net-pci"),
                *("-object", f"memory-backend-memfd,id=ram,size={MEMORY},share=on"),
                *("-numa", "node,memdev=ram", "-chardev", f"socket,id=fs,path={address}"),
                *("-device", "vhost-user-fs-pci,chardev=fs,tag=shared"),
            ]
            process = exits.enter_context(_running(*command, stdout=console, stderr=console))
        yield Machine(process, output)


@contextmanager
def _running(*words: Any, **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program for as long as the context lasts."""
    process = subprocess.Popen(words, stdin=subprocess.DEVNULL, **options)
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        process.wait()
