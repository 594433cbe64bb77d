"""The container engine for jobs: dockerd or podman's service in this container, or a given one.

dockerd is started directly, because its init script sets ulimits, which fails under sysbox. The
engine is ready before the runner is registered, and it is ended after everything else.
"""

from __future__ import annotations

import os
import shlex
import time
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple

from entrypoint import call, log
from entrypoint.container import files, kernel
from entrypoint.errors import ExitCode, Failure
from entrypoint.init import signals
from entrypoint.init.child import Child
from entrypoint.init.pid1 import Init
from entrypoint.runner import home, program
from entrypoint.settings.schema import Settings

READY_TIMEOUT = 60.0  # seconds, if WAIT is not set; dockerd needs some five
END_TIMEOUT = 3.0  # seconds between TERM and KILL; no job is left by then
CLEANUP_TIMEOUT = 8.0  # seconds
_KEEPER_TIME = 0.5  # seconds that the log's keeper has to write an engine's last words
_CLEANUP_RESERVE = 0.3  # seconds of a stop that are kept for the steps after the clean-up
SOCKET = "/run/docker.sock"
WAIT = "RUNNER_WAIT_FOR_DOCKER_IN_SECONDS"  # a variable of GitHub's runner, read by run.sh as well
CONFIGURATION = "/etc/docker/daemon.json"
_PID_FILES = ("/run/docker.pid", "/run/docker/containerd/containerd.pid")
_PROGRAMS = {"docker": "dockerd", "podman": "podman"}
_ETHERNET_MTU = 1500
# podman 5.6 comes with netavark 1.16, which gives networks the MTU of the default route
# (netavark#1281).
_PODMAN_WITH_MTU = [5, 6]
_LOG = "engine.log"  # in the state directory
# A shell that copies its stdin to the file $0, and keeps the last 5 to 10 MB in $0 and $0.1.
# Without stdbuf, head writes its output in blocks of some kilobytes, so the last lines would be
# missing when they are needed.
_KEEP = """
command -v stdbuf >/dev/null && at_once='stdbuf --output=0'
while $at_once head -c 5000000 >"$0" && [ "$(wc -c <"$0")" -ge 5000000 ]; do mv "$0" "$0.1"; done
"""


class Choice(NamedTuple):
    """Which engine jobs get (docker, podman, given or none), and why."""

    kind: str
    why: str


def choose(settings: Settings, environ: Mapping[str, str] | None = None) -> Choice:
    """Return which engine jobs get.

    With `auto` that is the first of these: an engine at DOCKER_HOST, an engine whose socket is
    mounted, dockerd, podman. The last two need CAP_SYS_ADMIN, which a container has under sysbox.
    """
    if settings.engine in _PROGRAMS:
        return Choice(settings.engine, "RUNNER_ENGINE names it")
    if settings.engine == "none":
        return Choice("none", "RUNNER_ENGINE is none")
    if address := (environ or {}).get("DOCKER_HOST", ""):
        return Choice("given", f"DOCKER_HOST is {address}")
    if _is_given(SOCKET):
        return Choice("given", f"{SOCKET} is mounted")
    return _of_this_container()


def _is_given(path: str) -> bool:
    """Return whether an engine outside of this container has its socket at a path.

    An engine that was killed leaves its socket in the container's own file system, where a second
    start of the same container finds it. Nothing listens there, and nothing is mounted.
    """
    try:
        if os.stat(path).st_dev != os.stat("/").st_dev:
            return True
    except OSError:
        return False
    import socket

    with socket.socket(socket.AF_UNIX) as asking:
        asking.settimeout(1)
        try:
            asking.connect(path)
        except ConnectionRefusedError:
            return False
        except OSError:  # the engine is slow, or this user may not connect
            pass
    return True


def _of_this_container() -> Choice:
    if not kernel.has_capability(kernel.CAP_SYS_ADMIN, "CapEff"):
        return Choice("none", "this container may make no containers (it lacks CAP_SYS_ADMIN)")
    for kind, name in _PROGRAMS.items():
        if installed(name):
            return Choice(kind, f"{name} is installed")
    return Choice("none", "neither dockerd nor podman is installed")


def installed(name: str) -> bool:
    """Return whether a program is on the PATH that the engine gets."""
    return any(os.access(os.path.join(d, name), os.X_OK) for d in program.PATH.split(":"))


class Engine:
    """The engine of one runner; `child` is None if the engine was given, or if there is none."""

    def __init__(self, pid_1: Init, settings: Settings, environ: MutableMapping[str, str]) -> None:
        """Choose the engine, and start it unless it was given. Raises a Failure (69)."""
        self._init, self._settings, self._environ = pid_1, settings, environ
        self.kind, why = choose(settings, environ)
        self._started = time.monotonic()
        self._output = os.path.join(settings.state_dir, _LOG)
        self._is_told = False
        self.label = ""
        self.child: Child | None = None
        self._keeper: Child | None = None
        self._before: Child | None = None
        if settings.engine == "auto":
            log.info("engine.chosen", f"container engine for jobs: {self.kind}", why=why)
        else:
            log.debug("engine.chosen", f"container engine for jobs: {self.kind}", why=why)
        if self.kind in _PROGRAMS:
            self._start()
        elif self.kind == "given":
            for warning in shared_engine_warnings(settings):
                log.warning("engine.shared", warning)

    def _start(self) -> None:
        try:
            self._prepare()
            keeper = os.pipe()
            try:
                environment = program.base_environment(self._environ, self._settings)
                self._keeper = self._init.spawn(
                    ["sh", "-c", _KEEP, self._output], env=environment, stdin=keeper[0]
                )
                command = self._command()
                self.child = self._init.spawn(command, env=environment, output=keeper[1])
            finally:
                for descriptor in keeper:
                    os.close(descriptor)
        except OSError as error:
            what = f"{error.filename}: {error.strerror}" if error.filename else str(error.strerror)
            raise self._failed(f"cannot be started: {what}") from None

    def _prepare(self) -> None:
        """Make the directories for the socket and the log, and an empty log."""
        # dockerd refuses to start if such a file names a process that is alive. In a container that
        # was started again, the file is old, and the process is another one.
        if self._init.is_pid_1:
            for path in _PID_FILES:
                with suppress(FileNotFoundError):
                    os.unlink(path)
        os.close(files.open_directory(os.path.dirname(SOCKET)))
        directory = files.open_directory(os.path.dirname(self._output))
        try:
            files.put(directory, _LOG, b"")
        finally:
            os.close(directory)

    def _command(self) -> list[str]:
        options = shlex.split(self._settings.engine_options)
        if self.kind == "podman":
            return ["podman", "system", "service", "--time=0", *options, f"unix://{SOCKET}"]
        # In a child, because docker_options runs `dockerd --help` and waits for it.
        found = call.wait(self._init, lambda: docker_options(self._settings))
        given = {word.partition("=")[0]: word.partition("=")[2] for word in found}
        if "--mtu" in given and "--default-network-opt" not in given:
            _warn_of_networks(given["--mtu"], "Docker 24")
        return ["dockerd", f"--host=unix://{SOCKET}", *found, *options]

    def await_ready(self) -> None:
        """Wait until the engine answers. Raises a Failure (69) if it ends or takes too long."""
        seconds = _seconds(self._environ.get(WAIT, ""))
        if self.child is not None:
            self._await(f"unix://{SOCKET}", seconds or READY_TIMEOUT, own=True)
        elif self.kind == "given" and seconds:
            self._await(self._environ.get("DOCKER_HOST") or f"unix://{SOCKET}", seconds, own=False)
        else:
            return
        took = round(time.monotonic() - self._started, 3)
        log.info("engine.ready", "the engine is ready", engine=self.kind, seconds=took)
        if self.kind == "podman":
            self._environ["DOCKER_HOST"] = f"unix://{SOCKET}"
            # podman's service has no BuildKit: `docker build` would fetch one from a registry.
            self._environ.setdefault("DOCKER_BUILDKIT", "0")

    def _await(self, address: str, seconds: float, *, own: bool) -> None:
        deadline = time.monotonic() + seconds

        def ask() -> list[str]:
            from entrypoint.lifecycle import engine_child

            why = engine_child.await_answer(address, deadline, own=own)
            return [why, *engine_child.about(address)] if own and not why else [why, "", ""]

        asking = call.start(self._init, ask)
        try:
            call.wait_for(
                self._init,
                lambda: asking.outcome is not None or self.has_ended,
                deadline,
                f"the container engine ({self.kind})",
            )
            if not self.has_ended and asking.outcome is not None:
                why, version, driver = call.result(asking)
                if not why:
                    self._warn_of(version, driver)
                    return
        finally:
            call.end(self._init, asking)
        if not own:
            raise self._failed(f"at {address} has not answered within {WAIT} ({seconds:g} s)")
        late = f"did not answer within {seconds:g} s"
        told = f"ended with {self.outcome}" if self.has_ended else late
        raise self._failed(f"{told}: {self.last_words()}")

    def _warn_of(self, version: str, driver: str) -> None:
        numbers = [int(part) for part in version.split(".")[:2] if part.isdigit()]
        is_old = self.kind == "podman" and numbers < _PODMAN_WITH_MTU
        if is_old and (mtu := self._settings.engine_mtu or default_mtu()):
            _warn_of_networks(str(mtu), "podman 5.6")
        if driver == "vfs":
            log.warning(
                "engine.slow",
                "the engine copies whole images (storage driver vfs): it is slow, and fills the"
                " disk",
                hint="mount a volume at its data root, /var/lib/docker or /var/lib/containers",
            )

    @property
    def outcome(self) -> int | None:
        """The exit code of the engine that was started here; None while it runs."""
        return self.child.outcome if self.child is not None else None

    @property
    def has_ended(self) -> bool:
        """Whether the engine that was started here has ended."""
        return self.outcome is not None

    @property
    def is_news(self) -> bool:
        """Whether the engine has ended and `tell_death` has not logged it yet."""
        return self.has_ended and not self._is_told

    def died(self) -> Failure:
        """Return the Failure that ends the runner if the engine ends while there is no job."""
        return self._failed(f"has ended with {self.outcome}: {self.last_words()}")

    def tell_death(self) -> None:
        """Log once that the engine has ended while a job runs."""
        if self.has_ended and not self._is_told:
            self._is_told = True
            log.error(
                "engine.died",
                f"the container engine ({self.kind}) has ended with {self.outcome} during the job",
                tail=self.last_words(),
            )

    def last_words(self) -> str:
        """Return the last lines of the engine's log."""
        if self.has_ended and self._keeper is not None:
            self._init.wait(self._keeper, time.monotonic() + _KEEPER_TIME)
        return home.tail(self._output) or home.tail(f"{self._output}.1")

    def take_label(self) -> None:
        """Keep the label that GitHub's runner gives to the containers of its job.

        Call it before a job: the label is computed from `.runner`, which the runner deletes after
        the job.
        """
        self.label = home.container_label(self._settings.home)

    def job_begins(self) -> None:
        """Let a child note what a shared engine has before the job's first step."""
        if self._before is None and self._cleans_up:
            environment = program.base_environment(self._environ, self._settings)

            def look() -> dict[str, str] | None:
                from entrypoint.lifecycle import engine_child

                return engine_child.unassigned(environment)

            with suppress(OSError):  # fork fails at the pids limit
                self._before = call.start(self._init, look)

    @property
    def _cleans_up(self) -> bool:
        return self.kind == "given" and bool(self.label) and self._settings.engine_cleanup

    def clean_up(self) -> None:
        """Remove the job's containers, networks and images from an engine that was given.

        What has no label of a runner stays; log what of that has appeared since the job began.
        """
        if not self._cleans_up:
            return
        seconds = min(CLEANUP_TIMEOUT, max(0.5, self._init.stop.left() - _CLEANUP_RESERVE))
        environment, before = program.base_environment(self._environ, self._settings), self._seen()

        def remove() -> list[list[str]]:
            from entrypoint.lifecycle import engine_child

            problems = engine_child.remove_labelled(self.label, environment)
            now = {} if before is None else engine_child.unassigned(environment) or {}
            return [problems, sorted(now[ident] for ident in now.keys() - set(before or ()))]

        try:
            found = call.wait(self._init, remove, time.monotonic() + seconds)
        except (Failure, OSError) as error:
            found = [[str(error)], []]
        if found is None:
            found = [[f"the engine did not answer within {seconds:.1f} s"], []]
        problems, others = found
        for problem in problems:
            log.warning(
                "engine.not_cleaned",
                "containers or networks of this job may be left on the engine",
                why=problem,
                hint=f"docker ps --all --filter label={self.label}",
            )
        if others:
            log.warning(
                "engine.unassigned",
                "these have come to the shared engine since the job began, and may be this job's:"
                " no label says whose they are, so they stay",
                left=others,
                hint="a step that starts a container removes it, in a step with `if: always()`",
            )

    def _seen(self) -> dict[str, str] | None:
        """Return what the engine had when the job began; None if that is not known."""
        if self._before is None:
            return None
        try:
            if self._before.outcome is not None:
                found: dict[str, str] | None = call.result(self._before)
                return found
        except Failure:  # the child was killed
            pass
        finally:
            call.end(self._init, self._before)
            self._before = None
        return None

    def end(self) -> None:
        """Clean up a given engine, or end the one that was started here."""
        self._init.begin_cleanup()
        self.clean_up()
        if self.child is None:
            return
        if self.child.outcome is None:
            signals.terminate(self.child.pid)
            self._init.wait(self.child, time.monotonic() + END_TIMEOUT, hurry=True)
        self._init.end(self.child)

    def _failed(self, why: str) -> Failure:
        return Failure(
            ExitCode.ENGINE, f"the container engine ({self.kind}) {why}", _hint(self.kind)
        )


@contextmanager
def running(pid_1: Init, settings: Settings, environ: MutableMapping[str, str]) -> Iterator[Engine]:
    """Run the engine for the length of a `with` block. Raises a Failure (69)."""
    engine = Engine(pid_1, settings, environ)
    try:
        yield engine
    finally:
        engine.end()


def _hint(kind: str) -> str:
    if kind == "given":
        return f"see to the engine at DOCKER_HOST or {SOCKET}, or give it more time ({WAIT})"
    if not installed(_PROGRAMS[kind]):
        return f"this image has no {_PROGRAMS[kind]}: take the full variant, or RUNNER_ENGINE=none"
    return (
        "run the container under sysbox (--runtime sysbox-runc) or with what the engine needs, or"
        " set RUNNER_ENGINE=none"
    )


def _seconds(value: str) -> float:
    return float(value) if value.isascii() and value.isdigit() else 0.0


def data_root(settings: Settings, environ: Mapping[str, str], path: str = CONFIGURATION) -> str:
    """Return where the engine that is started here keeps its images; "" if there is none."""
    match choose(settings, environ).kind:
        case "docker":
            given = settings.engine_data_root or _configuration(path).get("data-root")
            return str(given or "/var/lib/docker")
        case "podman":
            return "/var/lib/containers"
    return ""


def docker_options(settings: Settings, path: str = CONFIGURATION) -> list[str]:
    """Return dockerd's options, without those that a mounted daemon.json sets.

    dockerd refuses to start if an option is given both in that file and on the command line.
    """
    given = _configuration(path)
    mtu = settings.engine_mtu or default_mtu()
    options = {
        "mtu": [f"--mtu={mtu}"] if mtu else [],
        # The MTU of the networks that jobs create; dockerd has this option since Docker 24.
        "default-network-opts": (
            [f"--default-network-opt=bridge=com.docker.network.driver.mtu={mtu}"]
            if mtu and _knows("--default-network-opt")
            else []
        ),
        "registry-mirrors": [f"--registry-mirror={m}" for m in settings.engine_mirrors],
        "insecure-registries": [f"--insecure-registry={r}" for r in settings.engine_insecure],
        "data-root": [f"--data-root={settings.engine_data_root}"]
        if settings.engine_data_root
        else [],
        "storage-driver": (
            [f"--storage-driver={settings.engine_storage}"] if settings.engine_storage else []
        ),
        "default-address-pools": (
            [f"--default-address-pool={settings.engine_pool}"] if settings.engine_pool else []
        ),
    }
    return [word for key, words in options.items() if key not in given for word in words]


def _warn_of_networks(mtu: str, since: str) -> None:
    log.warning(
        "engine.mtu",
        f"networks that jobs create have an MTU of 1500, and the way out has {mtu}: only since"
        f" {since} they get it",
        hint=f"take a newer engine, or create them with -o com.docker.network.driver.mtu={mtu}",
    )


def _configuration(path: str) -> dict[str, Any]:
    """Return what daemon.json sets; nothing if it is broken: dockerd reports that itself."""
    import json

    try:
        with open(path, encoding="utf-8") as file:
            return dict(json.load(file))
    except (OSError, ValueError, TypeError):
        return {}


def _knows(option: str) -> bool:
    """Return whether the installed dockerd has an option."""
    import subprocess

    try:
        done = subprocess.run(
            ["dockerd", "--help"], capture_output=True, text=True, timeout=5, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return option in done.stdout


def default_mtu(
    routes: str = "/proc/net/route",
    devices: str = "/sys/class/net",
    routes_6: str = "/proc/net/ipv6_route",
) -> int | None:
    """Return the MTU of the default route's interface (IPv4, else IPv6), if less than Ethernet's.

    A job's network with a larger MTU would lose its large packets, without any error.
    """
    for device in (*_default_devices(routes), *_default_devices_6(routes_6)):
        with (
            suppress(OSError, ValueError),
            open(f"{devices}/{device}/mtu", encoding="ascii") as file,
        ):
            mtu = int(file.read())
            return mtu if mtu < _ETHERNET_MTU else None
    return None


def _default_devices(path: str) -> list[str]:
    with suppress(OSError), open(path, encoding="ascii") as table:
        rows = [line.split() for line in table][1:]
        return [row[0] for row in rows if row[1] == "00000000"]
    return []


def _default_devices_6(path: str) -> list[str]:
    # In a row, the first two words are destination and prefix length, and the last is the device.
    with suppress(OSError), open(path, encoding="ascii") as table:
        rows = [line.split() for line in table]
        return [r[-1] for r in rows if r[0] == "0" * 32 and r[1] == "00" and r[-1] != "lo"]
    return []


def shared_engine_warnings(settings: Settings) -> list[str]:
    """Return warnings about what jobs cannot do with an engine outside of this container."""
    found = []
    with suppress(OSError):
        about = os.stat(SOCKET)
        if about.st_gid == 0 or not about.st_mode & 0o020:
            found.append(
                f"{SOCKET} can be used by root alone (group {about.st_gid}), so jobs of"
                f" {settings.user} are denied; give the socket a group on the host"
            )
    if os.path.exists(SOCKET) and not kernel.is_mounted_at_same_path(settings.workdir_path):
        found.append(
            f"RUNNER_WORKDIR: the engine behind {SOCKET} is the host's, and does not see"
            f" {settings.workdir_path}: `container:`, `services:` with volumes and container"
            " actions find it empty; mount a host's folder there under the same path"
            " (-v /srv/work:/srv/work) and name it in RUNNER_WORKDIR"
        )
    return found


def container_jobs_problem(path: str = "/proc/1/cgroup") -> str:
    """Return why GitHub's runner refuses `container:` and `services:` here; "" if it does not.

    If ":/docker/" is in that file, GitHub's runner concludes that it is in a container and refuses
    to start others (actions/runner, ContainerOperationProvider). Container hooks skip the check.
    """
    with suppress(OSError), open(path, encoding="utf-8", errors="replace") as file:
        if ":/docker/" in file.read():
            return (
                "GitHub's runner refuses jobs with `container:` or `services:` here, since"
                f" {path} shows Docker's control group; start the container with"
                " --cgroupns=private"
            )
    return ""
