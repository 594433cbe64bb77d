"""The ways to keep a number of runners alive on one host, each started as its page says."""

from __future__ import annotations

import re
import time
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, ClassVar

from simulator import Simulator
from tests.deploy.guest import Guest
from tests.deploy.look import LOOK, assert_nothing_found
from tests.support.life import until

ROOT = Path(__file__).parent.parent.parent
DEPLOY = "/srv/deploy"  # in the guest
IMAGE = "localhost:5000/gh-runner:ubuntu"
TOKEN = "ghp_simulator"
SETTINGS = {"GITHUB_URL": "https://github.com/acme/shop"}


def documented(section: str, page: str = "deploy/README.md") -> str:
    """Return the commands in a section of a page."""
    text = (ROOT / page).read_text()
    found = re.search(
        rf"^#+ {re.escape(section)}$.*?^```sh\n(.*?)^```$", text, re.MULTILINE | re.DOTALL
    )
    assert found, section
    return found[1]


def listening(github: Simulator, number: int, after: int = 0) -> int:
    """Wait until so many more runners listen; return the id of the last event."""
    for _ in range(number):
        after = github.wait_for("listening", after=after, timeout=60)["id"]
    return after


class Pool(ABC):
    """Runners of one kind. `user` runs the engine; an empty one means root."""

    engine = "docker"
    user = ""
    sudo = False  # whether jobs may become root
    stop_seconds = 20.0  # an idle or busy pool must have ended by then
    waits_before_it_ends = False  # a container with a wrong token (RUNNER_FAILURE_PAUSE)
    dies_with_its_client = False  # a killed client takes its runner along, which stays on the list
    killed_at_once: ClassVar = {"client": 1, "engine": 2}  # runners that each victim takes along

    def __init__(self, guest: Guest) -> None:
        """Choose the machine; nothing is installed."""
        self.guest = guest

    @abstractmethod
    def install(self) -> None:
        """Install the files; nothing runs yet."""

    @abstractmethod
    def uninstall(self) -> None:
        """Remove the files."""

    @abstractmethod
    def configure(self, token: str = TOKEN, **settings: str) -> None:
        """Write settings and token for all runners that start from now on."""

    @abstractmethod
    def start(self, number: int) -> None:
        """Make this the number of runners: start some, or stop some."""

    @abstractmethod
    def begin_stop(self) -> None:
        """Begin to stop all of them, without waiting."""

    @abstractmethod
    def wait_stopped(self) -> None:
        """Wait until the engine has no containers of the pool."""

    @abstractmethod
    def status(self) -> str:
        """Return what the engine's own command shows about the first runner."""

    @abstractmethod
    def kill(self, victim: str) -> bool:
        """Kill the `client` of one container, or the `engine`; False if there is none."""

    def after_boot(self) -> None:
        """Do what an operator has to do after each boot; nothing by default."""
        return

    def stop(self) -> float:
        """Stop all of them, and return the seconds that it took."""
        begin = time.monotonic()
        self.begin_stop()
        self.wait_stopped()
        return time.monotonic() - begin

    def containers(self) -> set[str]:
        """Return the ids of the containers that run."""
        return set(self.call("ps", "--quiet", "--no-trunc").split())

    def inspect(self) -> str:
        """Return everything that the engine's `inspect` prints about the containers."""
        return self.call("inspect", *self.containers())

    def call(self, *words: str) -> str:
        """Run the engine's command."""
        return self.guest.run(self.engine, *words, user=self.user)

    def settings(self, **settings: str) -> str:
        """Return an env file."""
        return "".join(f"{name}={value}\n" for name, value in {**SETTINGS, **settings}.items())


class Systemd(Pool):
    """The template unit, with docker."""

    sections: tuple[str, ...] = ("systemd",)
    etc = "/etc"
    units = "/etc/systemd/system"

    def install(self) -> None:
        """Run the commands of the page, section by section."""
        for section in self.sections:
            self.guest.run("sh", "-ec", f"cd {DEPLOY}/..\n{documented(section)}")

    def uninstall(self) -> None:
        """Remove the units, because the next pool has units of the same names."""
        self.systemctl("disable", "--now", "gh-runner.target")
        self.guest.run("systemctl", "stop", "gh-runner-secret.socket", check=False)
        self.guest.run("sh", "-c", f"rm -rf {self.etc}/*/*/gh-runner* {self.etc}/gh-runner")
        self.systemctl("daemon-reload")

    def configure(self, token: str = TOKEN, **settings: str) -> None:
        """Write the settings and encrypt the token."""
        given = {"GITHUB_PERSONAL_TOKEN_FILE": "/run/secrets/github-token", **settings}
        self.guest.write(f"{self.etc}/gh-runner/runner.env", self.settings(**given))
        self.guest.write(f"{self.etc}/gh-runner/pool.conf", f"IMAGE={IMAGE}\n")
        self.encrypt(token)

    def encrypt(self, token: str) -> None:
        """Write the credential."""
        credential = "/etc/gh-runner/github-token.cred"
        encrypt = ["systemd-creds", "encrypt", "--name=github-token", "-", credential]
        self.guest.run(*encrypt, input=token)

    def start(self, number: int) -> None:
        """Enable and start the instances 1 to `number`; disable and stop the others."""
        wanted = [f"gh-runner@{index}.service" for index in range(1, number + 1)]
        now = self.running()
        self.leave(*[unit for unit in now if unit not in wanted])
        self.enter(*[unit for unit in wanted if unit not in now])

    def enter(self, *units: str) -> None:
        """Start instances, now and at each boot."""
        if units:
            self.systemctl("enable", "--now", *units)

    def leave(self, *units: str) -> None:
        """Stop instances, and disable them."""
        if units:
            self.systemctl("disable", "--now", *units)

    def running(self) -> list[str]:
        """Return the instances that systemd has loaded, failed ones included."""
        listed = ["list-units", "--all", "--plain", "--no-legend", "gh-runner@*.service"]
        return [line.split()[0] for line in self.systemctl(*listed).splitlines()]

    def begin_stop(self) -> None:
        """Stop the target's instances."""
        self.systemctl("stop", "--no-block", "gh-runner@*.service")

    def wait_stopped(self) -> None:
        """Wait for systemd, and disable the instances."""
        self.leave(*self.running())
        self.systemctl("reset-failed", check=False)

    def status(self) -> str:
        """Return what `systemctl status` shows."""
        return self.systemctl("status", "--no-pager", "--full", "gh-runner@1.service", check=False)

    def kill(self, victim: str) -> bool:
        """Kill the main process of the first unit, or dockerd."""
        if victim == "engine" and self.engine != "docker":
            return False
        unit = "docker.service" if victim == "engine" else "gh-runner@1.service"
        self.systemctl("kill", "--kill-whom=main", "--signal=KILL", unit)
        return True

    def systemctl(self, *words: str, check: bool = True) -> str:
        """Run systemctl; with --user if the pool is a user's."""
        manager = ["systemctl", "--user"] if self.user else ["systemctl"]
        return self.guest.run(*manager, *words, user=self.user, check=check)


class SystemdSudo(Systemd):
    """The template unit with docker, whose jobs may become root."""

    sudo = True

    sections = ("systemd", "Jobs with sudo")


class SystemdSocket(Systemd):
    """The template unit with docker; a service decrypts its credential with a key in memory."""

    sections = ("systemd", "A credential that is not on the disk")

    def encrypt(self, token: str) -> None:
        """Encrypt the token with a key that the operator types after each boot."""
        self._type_key()
        command = documented("Encrypt with a key of one's own")
        self.guest.run("sh", "-ec", command, input=token)

    def _type_key(self) -> None:
        self.guest.write("/run/gh-runner-key", "correct horse battery staple\n", 0o400)

    def after_boot(self) -> None:
        """Type the key."""
        self._type_key()
        self.systemctl("start", "gh-runner.target")


class Podman(Systemd):
    """The template unit, with podman."""

    engine = "podman"
    sections: tuple[str, ...] = ("Podman before 4.4: a unit",)


class Quadlet(Systemd):
    """Quadlets, podman's own kind of unit."""

    engine = "podman"
    sections: tuple[str, ...] = ("Podman 4.4 or later: quadlet",)
    containers_directory = "/etc/containers/systemd"
    dies_with_its_client = True  # conmon is in the container's control group

    def enter(self, *units: str) -> None:
        """Link the instances, which makes units of them."""
        for unit in units:
            link = f"{self.containers_directory}/{unit.replace('.service', '.container')}"
            self.guest.run("ln", "-sf", "gh-runner@.container", link)
        self.systemctl("daemon-reload")
        if units:
            self.systemctl("start", *units)

    def leave(self, *units: str) -> None:
        """Remove the links, and stop."""
        for unit in units:
            link = f"{self.containers_directory}/{unit.replace('.service', '.container')}"
            self.guest.run("rm", "-f", link)
        if units:
            self.systemctl("stop", *units)
        self.systemctl("daemon-reload")


class QuadletRootless(Quadlet):
    """Quadlets of a user who is not root."""

    user = "ci"
    etc = "/home/ci/.config"
    sections = ("Rootless", "As that user")
    containers_directory = "/home/ci/.config/containers/systemd"

    def install(self) -> None:
        """Make the user as root, then install the files as that user."""
        self.guest.run("sh", "-ec", f"cd {DEPLOY}/..\n{documented('Rootless')}")
        commands = f"cd {DEPLOY}/..\n{documented('As that user')}"
        self.guest.run("sh", "-ec", commands, user=self.user)
        self.call("pull", "--quiet", IMAGE)


class Swarm(Pool):
    """A service of a swarm."""

    waits_before_it_ends = True

    def install(self) -> None:
        """Make the guest a swarm."""
        self.guest.run("docker", "swarm", "init", "--advertise-addr", "127.0.0.1")

    def uninstall(self) -> None:
        """Leave the swarm, which deletes all that it has."""
        self.guest.run("docker", "swarm", "leave", "--force")

    def configure(self, token: str = TOKEN, **settings: str) -> None:
        """Keep the settings, which the stack takes from the environment; make the secret."""
        self._given = {**SETTINGS, "IMAGE": IMAGE, **settings}
        secret = settings.get("SECRET", "github-token")
        self.guest.run("docker", "secret", "rm", secret, check=False)
        self._run("bash", "-ec", documented("Swarm"), input=token + "\n")

    def _run(self, *words: str, **options: Any) -> None:
        given = [f"{name}={value}" for name, value in self._given.items()]
        self.guest.run("env", *given, *words, **options)

    def start(self, number: int) -> None:
        """Deploy the stack, or scale its service."""
        if self.guest.run("docker", "service", "ls", "--quiet"):
            self.guest.run("docker", "service", "scale", "--detach", f"ci_runner={number}")
        else:
            self.deploy(number)

    def deploy(self, number: int, *overrides: str) -> None:
        """Deploy the stack, with what the configuration says by now."""
        files = [f"--compose-file={DEPLOY}/swarm/{name}" for name in ("stack.yaml", *overrides)]
        deploy = ["docker", "stack", "deploy", "--resolve-image=never", "--detach=true", *files]
        self._run("env", f"REPLICAS={number}", *deploy, "ci")

    def begin_stop(self) -> None:
        """Remove the stack."""
        self.guest.run("docker", "stack", "rm", "--detach=true", "ci", check=False)

    def wait_stopped(self) -> None:
        """Wait for containers and network: a new stack fails while the network is being removed."""
        self.begin_stop()
        until(lambda: not self.containers())
        until(lambda: "ci_default" not in self.call("network", "ls"))

    def kill(self, victim: str) -> bool:
        """Kill dockerd; there are no clients."""
        if victim == "client":
            return False
        self.guest.run("systemctl", "kill", "--signal=KILL", "--kill-whom=main", "docker.service")
        return True

    def status(self) -> str:
        """Return the swarm's list of tasks and the service's log."""
        tasks = self.guest.run("docker", "service", "ps", "--no-trunc", "ci_runner", check=False)
        return tasks + self.guest.run("docker", "service", "logs", "ci_runner", check=False)


def begun_job(github: Simulator, script: str) -> Any:
    """Queue a job, wait until its script has begun, and return the job's id."""
    job = github.queue_job(f"echo begun; {script}")
    github.wait_for("job_output", job_id=job["id"], timeout=60)
    return job["id"]


def stop_of_a_busy_pool(pool: Pool, github: Simulator, number: int) -> None:
    """Start some runners, and stop them while one of them has a job: the job is cancelled."""
    pool.start(number)
    listening(github, number)
    job = begun_job(github, "sleep 60")
    assert pool.stop() < pool.stop_seconds
    assert github.job(job)["status"] == "completed"
    assert github.runners() == []


def job_replacement_stop(pool: Pool, github: Simulator) -> None:
    """Start two runners, let each take a job that looks for the token, and stop the next two."""
    pool.start(2)
    last = listening(github, 2)
    first = pool.containers()
    assert len(first) == 2
    assert TOKEN not in pool.inspect()
    assert TOKEN not in pool.guest.run("sh", "-c", "cat /proc/[0-9]*/cmdline")

    jobs = [github.queue_job(LOOK) for _ in range(2)]
    listening(github, 2, last)
    for job in jobs:
        assert_nothing_found(github.job(job["id"]), as_root=pool.sudo)
    second = pool.containers()
    assert len(second) == 2
    assert not first & second

    assert pool.stop() < pool.stop_seconds
    assert pool.containers() == set()
    assert github.runners() == []
