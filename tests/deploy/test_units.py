"""The units: what systemd and podman report about them, and common mistakes of operators."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from simulator import Simulator
from tests.deploy.guest import Guest
from tests.deploy.pools import (
    DEPLOY,
    IMAGE,
    Podman,
    Quadlet,
    Systemd,
    begun_job,
    documented,
    listening,
)
from tests.support.life import until

TOGETHER = "first guest"

GENERATOR = "/usr/lib/systemd/system-generators/podman-system-generator"


@pytest.fixture
def pool(guest: Guest, github: Simulator) -> Iterator[Systemd]:
    """A pool with docker, installed and configured; nothing has been started."""
    assert github.runners() == []
    pool = Systemd(guest)
    pool.install()
    pool.configure()
    yield pool
    pool.stop()
    guest.run("sh", "-c", "rm -rf /etc/systemd/system/gh-runner*.d")
    pool.uninstall()


def refused(pool: Systemd, *words: str, timeout: float = 60) -> None:
    """Wait until `systemctl status` of the first instance contains these words."""
    pool.systemctl("start", "--no-block", "gh-runner@1.service", check=False)
    until(lambda: all(word in pool.status() for word in words), timeout)


def restarts(pool: Systemd) -> int:
    """Return how often systemd has restarted the first instance."""
    shown = ["show", "--value", "--property=NRestarts", "gh-runner@1.service"]
    return int(pool.systemctl(*shown))


def test_verify(pool: Systemd) -> None:
    """`systemd-analyze verify` finds nothing wrong in any unit."""
    units = ["gh-runner@1.service", "gh-runner.target", "gh-runner-sweep@runner.service"]
    units += ["gh-runner-sweep@runner.timer", "gh-runner-secret.socket"]
    units += ["gh-runner-secret@1.service"]
    for drop_in in ("sudo", "secret-socket", "drain"):
        directory = "/etc/systemd/system/gh-runner@.service.d"
        drop = f"{DEPLOY}/systemd/{drop_in}.conf"
        assert pool.guest.run("install", "-D", "-m", "0644", "-t", directory, drop) == ""
        assert pool.guest.run("systemd-analyze", "verify", *units) == ""


def test_verify_podman(pool: Systemd) -> None:
    """The same holds for podman's unit, and for the unit that a quadlet becomes."""
    guest = pool.guest
    guest.run("cp", f"{DEPLOY}/podman/gh-runner@.service", "/etc/systemd/system/")
    assert guest.run("systemd-analyze", "verify", "gh-runner@1.service") == ""
    directory = {"QUADLET_UNIT_DIRS": f"{DEPLOY}/podman"}
    made = guest.run("env", *(f"{n}={v}" for n, v in directory.items()), GENERATOR, "--dryrun")
    assert "---gh-runner@.service---" in made
    unit = made.split("---gh-runner@.service---")[1].split("quadlet-generator[")[0]
    guest.write("/etc/systemd/system/gh-runner@.service", unit)
    assert guest.run("systemd-analyze", "verify", "gh-runner@1.service") == ""


def test_target(pool: Systemd, github: Simulator) -> None:
    """The target starts and stops all enabled instances."""
    pool.systemctl("enable", "gh-runner@1.service", "gh-runner@2.service")
    pool.systemctl("start", "gh-runner.target")
    listening(github, 2)
    pool.systemctl("stop", "gh-runner.target")
    until(lambda: github.runners() == [])


@pytest.mark.exhaustive
def test_another_repository_per_instance(pool: Systemd, github: Simulator) -> None:
    """INSTANCE.env overrides runner.env, and adds variables of its own."""
    other = "GITHUB_URL=https://github.com/acme/other\nRUNNER_LABELS=special\n"
    pool.guest.write("/etc/gh-runner/1.env", other)
    pool.start(2)
    listening(github, 2)
    found = {runner["scope"]: runner for runner in github.runners()}
    assert found.keys() == {"repos/acme/other", "repos/acme/shop"}
    assert "special" in str(found["repos/acme/other"]["labels"])
    assert "special" not in str(found["repos/acme/shop"]["labels"])


@pytest.mark.exhaustive
def test_sweep(pool: Systemd, github: Simulator) -> None:
    """The timer's service removes only runners that a loss of power has left on the list."""
    pool.start(2)
    last = listening(github, 2)
    github.settings(session_seconds=4)  # a silent runner is offline after so many seconds
    pool.guest.crash()
    pool.guest.boot()
    listening(github, 2, last)
    states = ["offline", "offline", "online", "online"]
    until(lambda: sorted(runner["status"] for runner in github.runners()) == states)
    pool.systemctl("enable", "--now", "gh-runner-sweep@runner.timer")
    assert "gh-runner-sweep@runner.timer" in pool.systemctl("list-timers")
    pool.systemctl("start", "gh-runner-sweep@runner.service")
    assert len(github.runners()) == 2
    assert all(runner["status"] == "online" for runner in github.runners())
    pool.systemctl("disable", "--now", "gh-runner-sweep@runner.timer")


@pytest.mark.exhaustive
def test_no_settings(pool: Systemd, github: Simulator) -> None:
    """An instance without an env file says which one it needs, and starts once it is there."""
    settings = pool.guest.run("cat", "/etc/gh-runner/runner.env")
    pool.guest.run("rm", "/etc/gh-runner/runner.env")
    refused(pool, "there is neither /etc/gh-runner/runner.env nor /etc/gh-runner/1.env")
    pool.guest.write("/etc/gh-runner/1.env", settings + "\n")
    listening(github, 1)


@pytest.mark.exhaustive
def test_wrong_settings(pool: Systemd) -> None:
    """With wrong settings the unit prints them once, and stays failed."""
    pool.configure(GITHUB_URL="https://github.com/", RUNNER_DRAIN_TIMEOUT="soon")
    refused(pool, "GITHUB_URL", "RUNNER_DRAIN_TIMEOUT", "failed", "status=78")
    assert restarts(pool) == 0


@pytest.mark.exhaustive
def test_unreadable_credential(pool: Systemd) -> None:
    """The error names the credential that cannot be decrypted; systemd gives up in a minute."""
    pool.guest.write("/etc/gh-runner/github-token.cred", "nonsense")
    refused(pool, "CREDENTIALS")
    until(lambda: "start-limit-hit" in pool.status() or "failed" in pool.status(), 90)


@pytest.mark.exhaustive
def test_undeletable_credential(pool: Systemd) -> None:
    """A credential that stays although jobs become root is named; it stays failed until mended."""
    options = "RUN_OPTIONS=--env=RUNNER_SUDO=1"
    pool.guest.write("/etc/gh-runner/pool.conf", f"IMAGE={IMAGE}\n{options}\n")
    refused(pool, "github-token cannot be deleted", "as root, by sudo", "status=78", "failed")
    assert restarts(pool) == 0


@pytest.mark.exhaustive
@pytest.mark.parametrize("kind", [Systemd, Podman, Quadlet])
def test_long_drain(guest: Guest, github: Simulator, kind: type[Systemd]) -> None:
    """With drain.conf a job goes on for longer than a stop may take without it."""
    pool = kind(guest)
    pool.install()
    directory = "/etc/systemd/system/gh-runner@.service.d"
    guest.run("install", "-D", "-m", "0644", "-t", directory, f"{DEPLOY}/systemd/drain.conf")
    try:
        pool.configure(RUNNER_DRAIN_TIMEOUT="3600")
        pool.systemctl("daemon-reload")
        pool.start(1)
        listening(github, 1)
        job = begun_job(github, "sleep 33; echo ended")
        assert 30 < pool.stop() < 60
        assert github.job(job)["result"] == "succeeded"
        assert github.runners() == []
    finally:
        pool.stop()
        pool.uninstall()


@pytest.mark.exhaustive
def test_no_engine(pool: Systemd, github: Simulator) -> None:
    """Without an engine the pauses grow; a runner starts once the engine is back."""
    engine = ["docker.socket", "docker.service"]
    pool.systemctl("mask", "--now", "--runtime", *engine)
    try:
        refused(pool, "Cannot connect to the Docker daemon")
        begin, number = time.monotonic(), restarts(pool)
        until(lambda: "2 in a row" in pool.status())
        time.sleep(5)
        assert restarts(pool) - number <= 1 + (time.monotonic() - begin) // 5
    finally:
        pool.systemctl("unmask", "--runtime", *engine)
        pool.systemctl("start", *engine)
    listening(github, 1)


@pytest.mark.exhaustive
def test_registry_is_down(pool: Systemd, github: Simulator) -> None:
    """If the registry is down, a pool uses the image that is here, and says so."""
    pool.systemctl("stop", "docker-registry")
    try:
        pool.start(1)
        listening(github, 1)
        assert f"{IMAGE} cannot be pulled, the one that is here is taken" in pool.status()
        pool.stop()
        pool.guest.write("/etc/gh-runner/pool.conf", "IMAGE=localhost:5000/other:none\n")
        refused(pool, "localhost:5000/other:none cannot be pulled, and there is no older one here")
    finally:
        pool.systemctl("start", "docker-registry")


@pytest.mark.exhaustive
def test_new_image(pool: Systemd, github: Simulator) -> None:
    """The container of the next job is made from the image that the tag has then."""
    guest = pool.guest
    pool.start(1)
    last = listening(github, 1)
    before = guest.run("docker", "image", "inspect", "--format={{.Id}}", IMAGE)
    guest.run("docker", "build", "--quiet", "--tag=new", "-", input=f"FROM {IMAGE}\nENV NEW=1\n")
    guest.run("docker", "tag", "new", IMAGE)
    guest.run("docker", "push", "--quiet", IMAGE)
    guest.run("docker", "tag", before, IMAGE)
    try:
        github.queue_job()
        listening(github, 1, last)
        assert "NEW=1" in pool.inspect()
    finally:
        guest.run("docker", "tag", before, IMAGE)
        guest.run("docker", "push", "--quiet", IMAGE)


@pytest.mark.exhaustive
def test_mounted_socket(pool: Systemd, github: Simulator) -> None:
    """RUN_OPTIONS reach the engine: here they give jobs the host's Docker, by which they are root.

    So the credential must not stay, and the unit says so until it has the drop-in for that.
    """
    options = "--volume=/var/run/docker.sock:/var/run/docker.sock --env=RUNNER_ENGINE=auto"
    pool.guest.write("/etc/gh-runner/pool.conf", f"IMAGE={IMAGE}\nRUN_OPTIONS={options}\n")
    refused(pool, "github-token cannot be deleted", "by the engine behind /run/docker.sock")
    pool.guest.run("sh", "-ec", f"cd {DEPLOY}/..\n{documented('Jobs with sudo')}")
    pool.start(1)
    pool.systemctl("restart", "gh-runner@1.service")
    listening(github, 1)
    job = github.queue_job("curl -sf --unix-socket /var/run/docker.sock http://docker/version")
    until(lambda: github.job(job["id"])["status"] == "completed")
    assert '"Version":"26' in github.job(job["id"])["log"]


@pytest.mark.exhaustive
def test_old_version(pool: Systemd, github: Simulator) -> None:
    """If GitHub refuses the runner's version, the next try comes after the longest pause."""
    github.deprecate("2.336.0", told_at="poll")
    refused(pool, "it ended with 7 (1 in a row)")
    waiting = next(line for line in pool.status().splitlines() if "waiting" in line)
    assert 300 <= int(waiting.split("waiting ")[1].split(" s:")[0]) <= 375


@pytest.mark.exhaustive
def test_growing_pauses(pool: Systemd, github: Simulator) -> None:
    """The pause grows with each failure; a restart by hand does not wait for it."""
    pool.configure(GITHUB_TIMEOUT="1")
    github.fault(path="registration-token", times=0, status=503)
    pool.systemctl("start", "--no-block", "gh-runner@1.service")
    pauses = []
    for number in (1, 2, 3):
        until(lambda n=number: f"({n} in a row)" in pool.status(), 90)
        line = next(x for x in pool.status().splitlines() if f"({number} in a row)" in x)
        pauses.append(int(line.split("waiting ")[1].split(" s:")[0]))
    assert pauses[0] >= 5
    assert pauses[1] >= 10
    assert pauses[2] >= 20
    github.clear_faults()
    begin = time.monotonic()
    pool.systemctl("restart", "gh-runner@1.service")
    listening(github, 1)
    assert time.monotonic() - begin < 20


@pytest.mark.exhaustive
def test_second_pool_of_the_same_names(pool: Systemd, github: Simulator) -> None:
    """A foreign container with an instance's name is left alone, and the status names it."""
    guest = pool.guest
    theirs = guest.run("docker", "run", "--detach", "--name=gh-runner-1", IMAGE, "sleep", "1000")
    try:
        refused(pool, "already in use", "in a row")
        assert guest.run("docker", "inspect", "--format={{.State.Running}}", theirs) == "true"
    finally:
        guest.run("docker", "rm", "--force", theirs)
    listening(github, 1)


@pytest.mark.exhaustive
def test_old_podman(pool: Systemd) -> None:
    """If podman is too old, the error names its version and the oldest that works."""
    guest = pool.guest
    guest.run("cp", f"{DEPLOY}/podman/gh-runner@.service", "/etc/systemd/system/")
    guest.write("/opt/old/podman", "#!/bin/sh\necho 3.0.1\n", 0o755)
    directory = "/etc/systemd/system/gh-runner@.service.d"
    path = "/opt/old:/usr/bin:/bin"
    guest.write(f"{directory}/old.conf", f"[Service]\nEnvironment=PATH={path}\n")
    pool.systemctl("daemon-reload")
    refused(pool, "podman 3.0.1 is too old")


@pytest.mark.exhaustive
def test_stop_while_it_waits(pool: Systemd, github: Simulator) -> None:
    """A stop during a long pause is done at once."""
    github.deprecate("2.336.0", told_at="poll")
    refused(pool, "it ended with 7 (1 in a row)")
    assert pool.stop() < 5
