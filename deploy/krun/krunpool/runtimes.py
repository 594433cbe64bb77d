"""The runtimes, which start and end microVMs: podman with krun, or krunvm."""

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
MONITOR_MIB = 256  # a microVM's monitor needs so much beside the memory of its guest


class Image(NamedTuple):
    """An image: its id and the values in it that matter here."""

    id: str
    environment: list[str]
    entrypoint: list[str]

    @property
    def system(self) -> str:
        """The operating system for a label: ubuntu, if ImageOS is ubuntu24."""
        values = [line.partition("=")[2] for line in self.environment if line[:8] == "ImageOS="]
        return values[-1].rstrip("0123456789.") if values else ""


class Runtime:
    """Starts and ends microVMs."""

    name = ""
    puller = "podman"  # the program that pulls and keeps the images
    is_vm = True

    def __init__(self, commands: Commands) -> None:
        """Use `commands` for running programs."""
        self.commands = commands

    async def problems(self) -> list[str]:
        """Return what this host lacks, a sentence for each."""
        raise NotImplementedError

    async def pull(self, image: str, until: asyncio.Event) -> Answer:
        """Pull the image; one under localhost/ is in no registry, and is left as it is."""
        if image.startswith("localhost/"):
            return Answer(0, "")
        return await self.commands.call(
            self.puller, "pull", "--quiet", image, seconds=PULL_SECONDS, until=until
        )

    async def image(self, name: str) -> Image | None:
        """Return an image; None if it is not here."""
        raise NotImplementedError

    async def start(
        self, folder: Folder, config: Config, arguments: Sequence[str]
    ) -> asyncio.subprocess.Process:
        """Start a microVM; OSError with the reason if that fails at once."""
        raise NotImplementedError

    async def running(self, folder: Folder) -> bool:
        """Return whether a microVM lives, even if the process that started it has ended."""
        raise NotImplementedError

    async def terminate(self, folder: Folder, seconds: float) -> None:
        """End a microVM that takes no stop file; if it is a container, SIGTERM comes first."""
        raise NotImplementedError

    async def remove(self, folder: Folder) -> None:
        """Kill a microVM if it lives, and remove all that belongs to it."""
        raise NotImplementedError


class Podman(Runtime):
    """Podman with krun, or with any other OCI runtime in its place."""

    def __init__(self, commands: Commands, runtime: str) -> None:
        """Use the runtime of this name or path."""
        super().__init__(commands)
        self.name = f"podman+{runtime}"
        # A path needs no entry in podman's configuration, and crun sees its name in it.
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
            # Lower-case z, for SELinux: all loops share the mounts.
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
        # --cpus would limit the monitor's processor time. Sooner or later a guest uses all of its
        # memory, for example for its page cache, so the cgroup needs room for the monitor as well.
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
    """krunvm, for macOS and for Linux without podman; its images are in buildah's store."""

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
        # The microVM inherits this descriptor, and with it the lock, and keeps both until it ends.
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
        """Return a command of krunvm; without root in buildah's namespace, since krunvm mounts."""
        needs_unshare = sys.platform == "linux" and os.geteuid() != 0
        return [*(("buildah", "unshare") if needs_unshare else ()), "krunvm", *words]

    async def running(self, folder: Folder) -> bool:
        """See Runtime."""
        return is_locked(folder.path / "alive")

    async def terminate(self, folder: Folder, seconds: float) -> None:
        """See Runtime; krunvm passes no signal on, so that this switches the machine off."""
        del seconds
        if (pid := folder.record().get("pid")) and await self.running(folder):
            kill_group(int(pid))

    async def remove(self, folder: Folder) -> None:
        """See Runtime."""
        await self.terminate(folder, 0)
        await self.commands.call(*self._krunvm("delete", folder.name))


# Jobs in a microVM have podman, whose containers use the microVM's only network.
ENGINE_FILES = {
    "docker": "/usr/local/bin/docker",
    "containers.conf": "/etc/containers/containers.conf.d/krun.conf",
}
PROGRAM = ("/usr/bin/env", "--block-signal", "/usr/local/bin/gh-runner")


def environment() -> dict[str, str]:
    """Return a microVM's environment, which says where its settings are."""
    return {"RUNNER_ENVFILE": f"{SHARED}/runner.env", "RUNNER_STATE_DIR": f"{SHARED}/state"}


def _checkout_program(config: Config) -> tuple[list[str], list[Mount]]:
    """Return the program and the mount of -D; empty without it."""
    if not config.checkout:
        return [], []
    code = (
        f"import sys; sys.path.insert(0, {config.checkout!r});"
        " from entrypoint.__main__ import exit_code; sys.exit(exit_code())"
    )
    checkout = Mount(str(CHECKOUT), config.checkout, "ro,z")
    return [*PROGRAM[:-1], "/opt/gh-runner/bin/python", "-I", "-c", code], [checkout]


def kvm_problems() -> list[str]:
    """Return why this user cannot use KVM; empty if that works."""
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
    """Return a command's output as JSON; `nothing` if it failed or is no JSON."""
    with suppress(ValueError):
        return json.loads(answer.text) if answer.code == 0 else nothing
    return nothing


def _image(number: Any, config: Any) -> Image:
    config = config or {}
    return Image(str(number), config.get("Env") or [], config.get("Entrypoint") or [])


def choose(config: Config, commands: Commands) -> Runtime | None:
    """Return the runtime that the user names, else one that is installed; None without one."""
    if config.runtime == "krunvm":
        return Krunvm(commands)
    if config.runtime:
        return Podman(commands, config.runtime.removeprefix("podman+"))
    if shutil.which("krun"):
        return Podman(commands, "krun")
    return Krunvm(commands) if shutil.which("krunvm") else None
