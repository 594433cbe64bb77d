"""A runner's container with a choice of PID 1, whose start and stop are timed."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from bench import memory
from simulator import Simulator, container
from simulator.container import NAMESPACE, PROGRAM, USER, children, comm
from tests.support import pki, wire

TOKEN = "ghp_simulator"
APP = 7
CERTIFICATES = "/etc/ssl/certs"  # on Debian and Ubuntu: a bundle, and links by hash
TRUST = ["bash", "-c", f'mount --bind "$0" {CERTIFICATES} && exec "$@"']
# Writes the time into the file of its first argument, then executes the other arguments.
CLOCK = ["bash", "-c", 'echo "$EPOCHREALTIME" >"$0" && exec "$@"']
# Stands in for the simulator's listener: notes the time, and executes the listener.
LISTENER = """\
#!/bin/bash
[ "$1" != run ] || echo "$EPOCHREALTIME" >"${0%/*}/started"
exec "${0%/*}/real/Runner.Listener" "$@"
"""
# Stands in for config.sh: runs it, and writes down when it began and ended.
CONFIG = """\
#!/bin/bash
begin=$EPOCHREALTIME
"${0%/*}/real-config.sh" "$@"
code=$?
echo "$begin $EPOCHREALTIME" >"${0%/*}/configured"
exit $code
"""
SCRIPTS, SCRIPT, OURS = "GitHub's two scripts", "script", "gh-runner"
PROGRAMS = {
    SCRIPTS: ["bash", str(Path(__file__).parent / "scripts.sh")],
    SCRIPT: ["dumb-init", "--", "bash", str(Path(__file__).parent / "start.sh")],
    OURS: PROGRAM,
}
RUNNERS_OWN = {"run.sh", "run-helper.sh", "Runner.Listener"}


class GitHub(NamedTuple):
    """A simulator that serves TLS, and a copy of the system's certificates that trusts it.

    Its authority is also in a file of its own, and a proxy that wants a password leads to it.
    """

    simulator: Simulator
    certificates: Path
    authority: Path
    proxy: str


@contextmanager
def github() -> Iterator[GitHub]:
    """Start a GitHub that answers at once; its authority is one among all of the system's."""
    with tempfile.TemporaryDirectory() as name:
        authority = pki.authority(Path(name))
        certificates = Path(name) / "certs"
        shutil.copytree(CERTIFICATES, certificates, symlinks=True)
        shutil.copy(authority.path, certificates)
        with (certificates / "ca-certificates.crt").open("ab") as bundle:
            bundle.write(authority.path.read_bytes())
        subprocess.run(["openssl", "rehash", certificates], check=True, stderr=subprocess.DEVNULL)
        with (
            Simulator("--certificate", str(authority.certify())) as simulator,
            wire.server(wire.tunnel(simulator.tls_port, [], "svc:secret")) as port,
        ):
            proxy = f"http://svc:secret@127.0.0.1:{port}"
            yield GitHub(simulator, certificates, authority.path, proxy)


class Container:
    """One life of a runner below one of the PROGRAMS; `way` is how the credential comes."""

    def __init__(
        self,
        github: GitHub,
        directory: Path,
        program: str,
        way: str,
        settings: Mapping[str, str],
    ) -> None:
        """Write a runner without start-up times that notes when its listener starts."""
        self.program, self.way, self._settings = program, way, settings
        self._simulator, self._certificates = github.simulator, github.certificates
        self._directory, self._exits = directory, ExitStack()
        self._home = self._simulator.make_distribution(directory / "runner", owner=USER)
        _put_before(self._home)

    def __enter__(self) -> Container:
        """Start it, in a control group of its own where there can be one."""
        self.begun = self._directory / "begun"
        self._group = self._exits.enter_context(memory.group())
        self._started = container.Container(
            [*CLOCK, str(self.begun), *PROGRAMS[self.program]],
            env=self._environment(),
            namespace=[
                *(self._group.command if self._group else ()),
                *NAMESPACE,
                *TRUST,
                str(self._certificates),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        return self

    def __exit__(self, *_: object) -> None:
        """Kill it with all that is in it."""
        self._started.end()
        self._exits.close()

    def listens(self) -> float:
        """Wait for the listener; return the seconds from the exec of PID 1 to its exec."""
        self._simulator.wait_for("listening", timeout=30)
        return moment(self._home / "bin" / "started") - moment(self.begun)

    def configuring(self) -> float:
        """Return the seconds that the last config.sh took."""
        begin, end = (self._home / "configured").read_text().split()
        return float(end) - float(begin)

    def stop(self, signum: int = signal.SIGTERM) -> float:
        """Stop the container as Docker does; return the seconds until it has ended."""
        before = time.monotonic()
        self._started.signal(signum)
        self._started.wait()
        return time.monotonic() - before

    @property
    def pid_1(self) -> int:
        """PID 1 as seen from here."""
        return self._started.pid_1

    def memory(self) -> dict[str, float]:
        """Return what the container holds in memory, in KiB, by its measure."""
        everything = memory.sizes([*self._started.inside()])
        found = {
            "anonymous memory of PID 1": memory.sizes([self.pid_1])[0],
            "anonymous memory of the container": everything[0],
            "memory of the container (PSS)": everything[1],
        }
        if self._group:
            found["anonymous memory of the control group"] = self._group.anonymous()
        return found

    def overhead(self) -> list[int]:
        """Return the processes that are not the runner's own."""
        found, generation = [], [self.pid_1]
        while generation:
            found += [pid for pid in generation if comm(pid) not in RUNNERS_OWN]
            generation = [child for pid in generation for child in children(pid)]
        return found

    def _environment(self) -> dict[str, str]:
        env = {
            "PATH": os.environ["PATH"],
            "GITHUB_OWNER": "acme",
            "GITHUB_REPOSITORY": "shop",
            "GITHUB_API_URL": f"https://127.0.0.1:{self._simulator.tls_port}",
            "RUNNER_NAME": "r",
            "RUNNER_USER": USER,
            "RUNNER_HOME": str(self._home),
        }
        group = {"RUNNER_GROUP_ID": str(pwd.getpwnam(USER).pw_gid)}
        mine: dict[str, Any] = {
            SCRIPTS: group,
            SCRIPT: group,
            OURS: {"RUNNER_STATE_DIR": str(self._directory / "state")},
        }
        return {**env, **mine[self.program], **self._credential(), **self._settings}

    def _credential(self) -> dict[str, str]:
        if self.program == SCRIPTS:
            return {"RUNNER_TOKEN": self._simulator.make_registration_token()}
        assignment = f"GITHUB_PERSONAL_TOKEN={TOKEN}\n"
        match self.way:
            case "env file":
                return {"RUNNER_ENVFILE": str(self._secret(assignment))}
            case "*_FILE":
                return {"GITHUB_PERSONAL_TOKEN_FILE": str(self._secret(TOKEN + "\n"))}
            case "App key":
                key = str(self._secret(app_key(self._simulator)))
                return {"GITHUB_APP_ID": str(APP), "GITHUB_APP_PRIVATE_KEY_FILE": key}
            case _:
                return {"GITHUB_PERSONAL_TOKEN": TOKEN}

    def _secret(self, content: str) -> Path:
        path = self._directory / "secret"
        path.write_text(content)
        path.chmod(0o600)
        return path


def _put_before(home: Path) -> None:
    real = home / "bin/real"
    real.mkdir()
    (real / "runner").symlink_to("../runner")
    _replace(home / "bin/Runner.Listener", real / "Runner.Listener", LISTENER)
    _replace(home / "config.sh", home / "real-config.sh", CONFIG)


def _replace(program: Path, elsewhere: Path, script: str) -> None:
    program.rename(elsewhere)
    program.write_text(script)
    program.chmod(0o755)


def app_key(simulator: Simulator) -> str:
    """Make an App known to GitHub, and return its private key."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    installation = {"id": 42, "account": "acme", "permissions": {"administration": "write"}}
    simulator.add_app(APP, public.decode(), installation)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return private.decode()


@contextmanager
def life(
    github: GitHub, program: str, way: str = "env file", **settings: str
) -> Iterator[Container]:
    """Start a container, with further settings, and end it afterwards."""
    github.simulator.reset()
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        directory.chmod(0o755)
        with Container(github, directory, program, way, settings) as started:
            yield started


def moment(file: Path) -> float:
    """Return the time that bash has written into a file, in seconds since the epoch."""
    return float(file.read_text())


def field(pid: int, file: str, name: str) -> int:
    """Return the number in one line of a file in /proc/PID."""
    return int(container.field(pid, f"{name}:", file).split()[0])
