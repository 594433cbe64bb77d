"""Files with secrets: which are read, which are refused, and what happens to them."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from entrypoint.container import account
from entrypoint.settings import secret_files
from entrypoint.settings.parsers import Problem
from simulator import Simulator
from tests.probe.cage import walls
from tests.support import life as lives
from tests.support.life import ISOLATED, TOKEN, USER, Life

FILE = "GITHUB_PERSONAL_TOKEN_FILE"
NOBODY = account.require(USER)
# A mount namespace in which "$0" is a read-only tmpfs with the files of a Kubernetes secret.
KUBERNETES = """
mount -t tmpfs -o mode=1777 tmpfs "$0"
mkdir "$0/..2026"
cp "$0.token" "$0/..2026/token"
chmod "$(cat "$0.mode")" "$0/..2026/token"
ln -s ..2026 "$0/..data"
ln -s ..data/token "$0/token"
mount -o remount,ro "$0"
exec "$@"
"""
# A file is mounted over another one, and nothing of that reaches this machine's namespace.
MOUNT = 'mount --bind "$0" "$1"; shift; exec "$@"'


@pytest.fixture
def place() -> Iterator[Path]:
    """Make a directory that only root may write to and every user may enter."""
    with lives.directory() as path:
        yield path


def put(path: Path, text: str = TOKEN, mode: int = 0o600, owner: int = 0) -> Path:
    """A file with these properties."""
    path.write_text(text)
    path.chmod(mode)
    os.chown(path, owner, -1)
    return path


def why(path: Path | str) -> str:
    """Return why a file is not trusted; "" if it is."""
    return secret_files.why_untrusted(secret_files.read(str(path)), NOBODY)


def test_file_of_roots(place: Path) -> None:
    """An ordinary file of root's is read."""
    path = put(place / "token")
    assert secret_files.read(str(path)).text == TOKEN
    assert secret_files.read(str(path)).path == str(path)
    assert why(path) == ""


def test_text_is_not_shown(place: Path) -> None:
    """A file that was read is printed without the secret."""
    assert TOKEN not in repr(secret_files.read(str(put(place / "token"))))


def test_roots_links_are_followed(place: Path) -> None:
    """Links of root's are followed, as in a Kubernetes secret."""
    (place / "..2026").mkdir()
    (place / "..data").symlink_to("..2026")
    put(place / "..2026/token")
    (place / "token").symlink_to("..data/token")
    assert secret_files.read(f"{place}/token").path == f"{place}/..2026/token"
    assert why(place / "token") == ""
    (place / "absolute").symlink_to(place / "..data/../..data/token")
    assert why(place / "absolute") == ""


def test_link_that_a_job_could_turn(place: Path) -> None:
    """A link in a directory of the runner's is refused, whatever it points to."""
    put(place / "token")
    (place / "open").mkdir()
    os.chown(place / "open", NOBODY.uid, -1)
    (place / "open/link").symlink_to(place / "token")
    assert why(place / "open/link") == (
        f"is reached by {place}/open/link, which jobs, as {USER}, can replace"
    )


def test_directory_above_that_a_job_could_turn(place: Path) -> None:
    """A directory of root's below one that a job may change is refused."""
    (place / "open/closed").mkdir(parents=True)
    (place / "open").chmod(0o777)
    put(place / "open/closed/token")
    assert f"{place}/open/closed, which jobs" in why(place / "open/closed/token")


def test_sticky_directory_keeps_what_is_roots(place: Path) -> None:
    """A directory of root's in /tmp is safe; a file in /tmp itself is refused."""
    (place / "tmp/closed").mkdir(parents=True)
    (place / "tmp").chmod(0o1777)
    assert why(put(place / "tmp/closed/token")) == ""
    assert "is in a directory that jobs" in why(put(place / "tmp/token"))


@pytest.mark.parametrize("mode", [0o770, 0o500, 0o700])
def test_directory_of_the_runners(place: Path, mode: int) -> None:
    """A directory of the runner's user is refused: its owner can make it writable."""
    (place / "open").mkdir()
    path = put(place / "open/token")
    (place / "open").chmod(mode)
    os.chown(place / "open", NOBODY.uid, NOBODY.gid)
    assert "is in a directory that jobs" in why(path)


def test_file_of_the_runners(place: Path) -> None:
    """A file of the runner's user is refused: a job may have made it."""
    assert why(put(place / "token", owner=NOBODY.uid)).startswith(f"belongs to {USER}")


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("pipe", "is not a regular file"),
        ("directory", "is a directory"),
        ("device", "is not a regular file"),
        ("missing", "cannot be read: No such file or directory"),
        ("dangling", "cannot be read: No such file or directory"),
        ("loop", "cannot be read: too many symbolic links"),
        ("below a file", "cannot be read: Not a directory"),
        ("null", "cannot be read: embedded null byte"),
        ("huge", "is larger than 65536 bytes"),
        ("binary", "is not UTF-8 text"),
    ],
)
def test_what_is_no_file_with_a_secret(place: Path, kind: str, words: str) -> None:
    """Anything but a file with a secret is refused at once, and its content is not shown."""
    path = place / "token"
    makers: dict[str, Callable[[], object]] = {
        "pipe": lambda: os.mkfifo(path),
        "directory": path.mkdir,
        "device": lambda: path.symlink_to("/dev/zero"),
        "dangling": lambda: path.symlink_to(place / "none"),
        "loop": lambda: path.symlink_to(path),
        "huge": lambda: path.write_bytes(b"ghp_" * 2**18),
        "binary": lambda: path.write_bytes(b"ghp_secret\xff"),
    }
    makers.get(kind, lambda: None)()
    names = {"below a file": f"{put(place / 'other')}/token", "null": "/a\0b"}
    with pytest.raises(Problem) as caught:
        secret_files.read(names.get(kind, str(path)))
    assert str(caught.value) == words


def begin(life: Life, path: Path, **options: Any) -> Life:
    """Start a life whose token is in a file."""
    return life.start(GITHUB_PERSONAL_TOKEN="", GITHUB_PERSONAL_TOKEN_FILE=str(path), **options)


def test_readable_file_is_deleted(life: Life, simulator: Simulator) -> None:
    """A file that every user can read is deleted before the job, with a warning."""
    path = put(life.directory / "token", mode=0o644)
    job = simulator.queue_job(f"[ ! -e {path} ]")
    assert begin(life, path).wait() == 0, life.output
    assert simulator.job(job["id"])["result"] == "succeeded"
    assert f"{FILE}: {path} was deleted, a job could have read it as {USER}" in life.output


def test_file_that_nobody_else_can_read_stays(life: Life, simulator: Simulator) -> None:
    """Without sudo a job cannot read root's file, which stays for the next start."""
    path = put(life.directory / "token")
    simulator.queue_job()
    assert begin(life, path).wait() == 0, life.output
    assert path.read_text() == TOKEN


@pytest.mark.parametrize(("sudo", "stays"), [("1", False), ("0", True)])
def test_with_sudo_a_job_reads_roots_files(
    life: Life, simulator: Simulator, sudo: str, stays: bool
) -> None:
    """Root's file is deleted if jobs may become root, and stays with RUNNER_SUDO=0."""
    path = put(life.directory / "token")
    simulator.queue_job()
    begin(life, path, namespace=walls(), RUNNER_SUDO=sudo)
    assert life.wait() == 0, life.output
    assert path.exists() is stays


def test_mounted_file_is_unmounted(life: Life, simulator: Simulator) -> None:
    """A file that is mounted by itself, as Swarm does with secrets, is gone before the job."""
    kept, path = put(life.directory / "kept", mode=0o644), put(life.directory / "token", text="")
    mount = ["unshare", "--mount", "sh", "-ec", MOUNT, str(kept), str(path)]
    job = simulator.queue_job(f"[ ! -s {path} ]")
    assert begin(life, path, namespace=[*mount, *ISOLATED]).wait() == 0, life.output
    assert simulator.job(job["id"])["result"] == "succeeded"
    assert f"{FILE}: {path} was unmounted, a job could have read it as {USER}" in life.output
    assert kept.read_text() == TOKEN


def test_mounted_file_that_has_to_stay(life: Life, simulator: Simulator) -> None:
    """Without CAP_SYS_ADMIN the file cannot be unmounted, so nothing starts."""
    kept, path = put(life.directory / "kept", mode=0o644), put(life.directory / "token", text="")
    mount = ["unshare", "--mount", "sh", "-ec", MOUNT, str(kept), str(path)]
    without = ["setpriv", "--bounding-set=-sys_admin", "--inh-caps=-sys_admin"]
    assert begin(life, path, namespace=[*mount, *ISOLATED, *without]).wait() == 78, life.output
    assert f"{path} cannot be deleted (it is mounted by itself)" in life.error()
    assert simulator.requests() == []


def test_engine_makes_root_without_sudo(life: Life, simulator: Simulator) -> None:
    """If jobs also have an engine, the message does not offer RUNNER_SUDO=0 alone as a way out."""
    path, namespace = kubernetes(life, 0o400, sudo=False)
    begin(life, path, namespace=namespace, RUNNER_SUDO="0", RUNNER_ENGINE="docker")
    assert life.wait() == 78, life.output
    assert "RUNNER_ENGINE=none" in life.error()
    assert simulator.requests() == []


@pytest.mark.parametrize("engine", ["auto", "none"])
@pytest.mark.parametrize(
    ("address", "mode", "code"),
    [("unix://{}", 0o666, 78), ("unix://{}", 0o600, 0), ("tcp://127.0.0.1:1", 0, 78)],
    ids=["socket", "socket of root", "elsewhere"],
)
def test_engine_at_docker_host_makes_root_too(
    life: Life, simulator: Simulator, address: str, mode: int, code: int, engine: str
) -> None:
    """An engine that jobs can reach by DOCKER_HOST counts as one whose socket is mounted."""
    path, namespace = kubernetes(life, 0o400, sudo=False)
    listening = life.directory / "engine.sock"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(listening))
        listening.chmod(mode)
        life.env |= {"RUNNER_SUDO": "0", "RUNNER_ENGINE": engine, "RUNNER_IDLE_TIMEOUT": "0.1"}
        begin(life, path, namespace=namespace, DOCKER_HOST=address.format(listening))
        assert life.wait() == code, life.output
    assert ("as root, by the engine at DOCKER_HOST" in life.output) is (code == 78)
    assert (code == 78) is (simulator.requests() == [])


def kubernetes(life: Life, mode: int, *, sudo: bool) -> tuple[Path, list[str]]:
    """Return a secret as Kubernetes mounts it, and the namespace that has it."""
    place = life.directory / "secret"
    place.mkdir()
    Path(f"{place}.mode").write_text(f"{mode:o}")
    put(Path(f"{place}.token"), f"{TOKEN}\n")
    mount = ["unshare", "--mount", "sh", "-e", "-c", KUBERNETES, str(place)]
    return place / "token", [*mount, *(walls() if sudo else ISOLATED)]


@pytest.mark.parametrize(("mode", "sudo"), [(0o644, False), (0o400, True)])
def test_kubernetes_secret_that_a_job_could_read(
    life: Life, simulator: Simulator, mode: int, sudo: bool
) -> None:
    """The Secret cannot be deleted, so nothing starts; the message has the ways out."""
    path, namespace = kubernetes(life, mode, sudo=sudo)
    begin(life, path, namespace=namespace)
    assert life.wait() == 78, life.output
    target = path.parent / "..2026/token"
    reader = "root, by sudo" if sudo else USER
    assert (
        f"{FILE}: {target} cannot be deleted (Read-only file system), and a job could read it as"
        f" {reader}"
    ) in life.error()
    assert {"RUNNER_SUDO=0", "chmod", "RUNNER_ALLOW_READABLE_SECRETS=1"} <= {
        word.strip("();,") for word in life.error().split()
    }
    assert simulator.requests() == []


@pytest.mark.parametrize(
    ("mode", "env"),
    [(0o400, {"RUNNER_SUDO": "0"}), (0o644, {"RUNNER_ALLOW_READABLE_SECRETS": "1"})],
)
def test_ways_out_for_a_kubernetes_secret(
    life: Life, simulator: Simulator, mode: int, env: dict[str, str]
) -> None:
    """Mode 0400 without sudo makes it safe; or the operator allows it."""
    path, namespace = kubernetes(life, mode, sudo=True)
    simulator.queue_job()
    assert begin(life, path, namespace=namespace, **env).wait() == 0, life.output
    assert ("a job could read it" in life.output) is (mode == 0o644)


def test_one_file_that_must_stay_saves_all(life: Life, simulator: Simulator) -> None:
    """If one file cannot be deleted, no other one is deleted either."""
    stuck = put(life.directory / "token", mode=0o644)
    shutil.copy(stuck, life.directory / "copy")
    os.link(stuck, life.directory / "other-name")
    envfile = put(life.directory / "env", f"RUNNER_LABELS=a\n{FILE}={stuck}\n", mode=0o644)
    assert life.start(GITHUB_PERSONAL_TOKEN="", RUNNER_ENVFILE=str(envfile)).wait() == 78
    assert f"{stuck} cannot be deleted (it has another name as well" in life.error()
    assert envfile.exists()
    assert simulator.requests() == []


def test_mistrusted_file_is_refused_and_left(life: Life, simulator: Simulator) -> None:
    """A token in the runner's directory is refused, and not deleted."""
    path = put(life.home / "token")
    assert begin(life, path).wait() == 78
    assert f"{FILE}: {path} is in a directory that jobs" in life.error()
    assert path.exists()
    assert simulator.requests() == []
