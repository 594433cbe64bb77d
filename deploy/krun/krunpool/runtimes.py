"""What starts and ends microVMs: podman with krun, or krunvm."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import shutil
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from krunpool.commands import CALL_SECONDS, Answer, Commands, kill_group
from krunpool.config import CHECKOUT, SHARED, Config, Mount
from krunpool.folder import Folder, is_locked

PULL_SECONDS = 1800.0
MONITOR_MIB = 256  # what the monitor of a microVM needs beside the memory of its guest


class Image(NamedTuple):
    """What is known of an image."""

    id: str
    environment: list[str]
    entrypoint: list[str]

    @property
    def system(self) -> str:
        """The label of its operating system: ubuntu, where ImageOS is ubuntu24."""
        values = [line.partition("=")[2] for line in self.environment if line[:8] == "ImageOS="]
        return values[-1].rstrip("0123456789.") if values else ""


class Runtime:
    """What starts and ends microVMs."""

    name = ""
    puller = "podman"  # the program whose images are used
    is_vm = True

    def __init__(self, commands: Commands) -> None:
        """Take what runs its programs."""
        self.commands = commands

    async def problems(self) -> list[str]:
        """Return what is missing on this host, each in a sentence."""
        raise NotImplementedError

    async def pull(self, image: str, until: asyncio.Event) -> Answer:
        """Bring the image up to date; one below localhost/ has nowhere to come from."""
        if image.startswith("localhost/"):
            return Answer(0, "")
        return await self.commands.call(
            self.puller, "pull", "--quiet", image, seconds=PULL_SECONDS, until=until
        )

    async def image(self, name: str) -> Image | None:
        """Return what is known of an image; None if it is not here."""
        raise NotImplementedError

    async def start(
        self, folder: Folder, config: Config, arguments: Sequence[str]
    ) -> asyncio.subprocess.Process:
        """Start a microVM; OSError with the reason if that fails at once."""
        raise NotImplementedError

    async def running(self, folder: Folder) -> bool:
        """Return whether a microVM lives, whatever has become of the process that started it."""
        raise NotImplementedError

    async def terminate(self, folder: Folder, seconds: float) -> None:
        """End a microVM that cannot be asked by file; a container gets its SIGTERM by this."""
        raise NotImplementedError

    async def remove(self, folder: Folder) -> None:
        """End a microVM at once if it lives, and leave nothing of it."""
        raise NotImplementedError


class Podman(Runtime):
    """Podman with krun, or with any other OCI runtime in its place."""

    def __init__(self, commands: Commands, runtime: str) -> None:
        """Take the runtime's name or path."""
        super().__init__(commands)
        self.name = f"podman+{runtime}"
        # With a path podman needs no entry in its configuration, and crun still sees its name.
        self._runtime = shutil.which(runtime) or runtime
        self.is_vm = os.path.basename(runtime) == "krun"

    async def problems(self) -> list[str]:
        """See Runtime."""
        found = [] if shutil.which("podman") else ["podman is not installed"]
        if not shutil.which(self._runtime):
            way_out = (
                " (Fedora: crun-krun; elsewhere crun built with libkrun, under the name krun)"
                if self.is_vm
                else ""
            )
            return [*found, f"{self.name}: there is no {self._runtime} on PATH{way_out}"]
        if self.is_vm:
            version = await self.commands.call(self._runtime, "--version")
            if "+LIBKRUN" not in version.text:
                found.append(
                    f"{self._runtime} cannot start microVMs: it was built without libkrun"
                    " (`krun --version` lacks +LIBKRUN)"
                )
            found += kvm_problems()
        return found

    async def image(self, name: str) -> Image | None:
        """See Runtime."""
        answer = await self.commands.call("podman", "image", "inspect", name)
        found = _json(answer, [])
        return _image(found[0].get("Id"), found[0].get("Config")) if found else None

    async def start(
        self, folder: Folder, config: Config, arguments: Sequence[str]
    ) -> asyncio.subprocess.Process:
        """See Runtime."""
        command = ["podman", "run", *self.options(folder, config)]
        entrypoint, extra = _checkout_program(config)
        if entrypoint:
            command += ["--entrypoint", json.dumps(entrypoint)]
        for source, target, options in [*extra, *config.mounts]:
            # Lower-case z: all loops share what is mounted, where SELinux labels files.
            command += ["--volume", f"{source}:{target}:{options or 'z,rw'}"]
        return await self.commands.start(*command, config.image, *arguments)

    def options(self, folder: Folder, config: Config) -> list[str]:
        """Return the options of `podman run`, without the mounts."""
        words = ["--rm", "--name", folder.name, "--cidfile", str(folder.id_file)]
        words += ["--runtime", self._runtime, "--pull", "never", "--sig-proxy=false"]
        words += ["--no-healthcheck", "--stop-timeout", f"{config.stop_seconds:.0f}"]
        words += ["--volume", f"{folder.shared}:{SHARED}:Z,rw"]
        words += [word for one in environment().items() for word in ("--env", "=".join(one))]
        if config.dns:
            words += ["--dns", config.dns]
        if not self.is_vm:
            return [*words, "--cpus", f"{config.cpus}", "--memory", f"{config.memory}m"]
        # --cpus would be a quota of the monitor; a guest that uses all of its memory, as its page
        # cache does sooner or later, needs a cgroup that has room for the monitor as well.
        words += ["--annotation", f"krun.cpus={config.cpus}"]
        words += ["--annotation", f"krun.ram_mib={config.memory}"]
        words += ["--memory", f"{config.memory + MONITOR_MIB}m"]
        for file, target in ENGINE_FILES.items():
            if (source := Path(__file__).resolve().parents[1] / file).is_file():
                words += ["--volume", f"{source}:{target}:ro,z"]
        return words

    async def running(self, folder: Folder) -> bool:
        """See Runtime."""
        form = "{{.State.Running}}"
        words = ["container", "inspect", "--format", form, folder.id()]
        return (await self.commands.call("podman", *words)).text.strip() == "true"

    async def terminate(self, folder: Folder, seconds: float) -> None:
        """See Runtime."""
        words = ["stop", "--time", f"{seconds:.0f}", folder.id()]
        await self.commands.call("podman", *words, seconds=seconds + CALL_SECONDS)

    async def remove(self, folder: Folder) -> None:
        """See Runtime."""
        await self.commands.call("podman", "rm", "--force", "--time", "0", folder.id())


class Krunvm(Runtime):
    """krunvm, for macOS and for Linux without podman; its images are buildah's."""

    name = "krunvm"
    puller = "buildah"

    async def problems(self) -> list[str]:
        """See Runtime."""
        missing = [p for p in ("krunvm", "buildah") if not shutil.which(p)]
        found = [f"krunvm: there is no {program} on PATH" for program in missing]
        return found + (kvm_problems() if sys.platform == "linux" else [])

    async def image(self, name: str) -> Image | None:
        """See Runtime."""
        answer = await self.commands.call("buildah", "inspect", "--type", "image", name)
        found = _json(answer, {})
        return _image(found.get("FromImageID"), found["OCIv1"].get("config")) if found else None

    async def start(
        self, folder: Folder, config: Config, arguments: Sequence[str]
    ) -> asyncio.subprocess.Process:
        """See Runtime."""
        known = await self.image(config.image)
        if known is None:
            raise OSError(f"the image {config.image} is not here")
        entrypoint = known.entrypoint or list(PROGRAM)
        created = await self.commands.call(*self._krunvm("create", *self._made(folder, config)))
        if created.code != 0:
            raise OSError(f"krunvm create: {created.words}")
        given = [*known.environment, *("=".join(one) for one in environment().items())]
        words = [word for value in given for word in ("--env", value)]
        words += [folder.name, entrypoint[0], "--", *entrypoint[1:], *arguments]
        # The microVM keeps this descriptor open, and with it a lock, for as long as it lives.
        lock = os.open(folder.path / "alive", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            process = await self.commands.start(*self._krunvm("start", *words), pass_fds=[lock])
        finally:
            os.close(lock)
        folder.note(**{**folder.record(), "pid": process.pid})
        return process

    def _made(self, folder: Folder, config: Config) -> list[str]:
        """Return the words of `krunvm create`."""
        words = [config.image, "--name", folder.name, "--cpus", f"{config.cpus}"]
        words += ["--mem", f"{config.memory}"]
        if config.dns:
            words += ["--dns", config.dns]
        mounts = [Mount(str(folder.shared), SHARED, ""), *config.mounts]
        return words + [w for m in mounts for w in ("--volume", f"{m.source}:{m.target}")]

    @staticmethod
    def _krunvm(*words: str) -> list[str]:
        """Return a command of krunvm, which mounts: without root that needs buildah's namespace."""
        needs_unshare = sys.platform == "linux" and os.geteuid() != 0
        return [*(("buildah", "unshare") if needs_unshare else ()), "krunvm", *words]

    async def running(self, folder: Folder) -> bool:
        """See Runtime."""
        return is_locked(folder.path / "alive")

    async def terminate(self, folder: Folder, seconds: float) -> None:
        """See Runtime; krunvm passes no signal on, so this is the power switch."""
        del seconds
        if (pid := folder.record().get("pid")) and await self.running(folder):
            kill_group(int(pid))

    async def remove(self, folder: Folder) -> None:
        """See Runtime."""
        await self.terminate(folder, 0)
        await self.commands.call(*self._krunvm("delete", folder.name))


# In the microVM jobs have podman, with the network of the microVM: there is no other.
ENGINE_FILES = {
    "docker": "/usr/local/bin/docker",
    "containers.conf": "/etc/containers/containers.conf.d/krun.conf",
}
PROGRAM = (
    *("/usr/bin/env", "--block-signal"),
    *("/opt/gh-runner/bin/python", "-I", "-m", "entrypoint"),
)


def environment() -> dict[str, str]:
    """Return what a microVM is told in its environment: where the rest is."""
    return {"RUNNER_ENVFILE": f"{SHARED}/runner.env", "RUNNER_STATE_DIR": f"{SHARED}/state"}


def _checkout_program(config: Config) -> tuple[list[str], list[Mount]]:
    """Return the program and the mount of -D; nothing without it."""
    if not config.checkout:
        return [], []
    code = (
        f"import runpy, sys; sys.path.insert(0, {config.checkout!r});"
        " runpy.run_module('entrypoint', run_name='__main__', alter_sys=True)"
    )
    checkout = Mount(str(CHECKOUT), config.checkout, "ro,z")
    return [*PROGRAM[:-2], "-c", code], [checkout]


def kvm_problems() -> list[str]:
    """Return why KVM cannot be used here; empty if it can."""
    if not os.path.exists("/dev/kvm"):
        remedy = (
            "load kvm_intel or kvm_amd, switch virtualization on in the firmware or, where this"
            " host is a virtual machine itself, allow it nested"
        )
        return [f"there is no /dev/kvm, so no microVM can start: {remedy}"]
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return ["/dev/kvm is not open to this user, so no microVM can start: join its group (kvm)"]
    return []


def _json(answer: Answer, nothing: Any) -> Any:
    """Return what a command has printed; `nothing` if it failed or printed something else."""
    with suppress(ValueError):
        return json.loads(answer.text) if answer.code == 0 else nothing
    return nothing


def _image(number: Any, config: Any) -> Image:
    config = config or {}
    return Image(str(number), config.get("Env") or [], config.get("Entrypoint") or [])


def choose(config: Config, commands: Commands) -> Runtime | None:
    """Return the runtime that is asked for, or the one that is installed; None if none is."""
    if config.runtime == "krunvm":
        return Krunvm(commands)
    if config.runtime:
        return Podman(commands, config.runtime.removeprefix("podman+"))
    if shutil.which("krun"):
        return Podman(commands, "krun")
    return Krunvm(commands) if shutil.which("krunvm") else None
