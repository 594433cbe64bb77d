"""The container engine for jobs: a real dockerd in a mount namespace of its own."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest

from simulator import Simulator
from tests.support.life import NAMESPACE, Life, until

DOCKERD = shutil.which("dockerd")
# Its own folders, and its own network: with --bridge=none it would delete docker0, which an
# engine of this machine may use.
_PREPARE = f"""
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /var/lib/docker && mount -t tmpfs tmpfs /var/lib/containers
mkdir /run/own && touch /run/own/dockerd && mount --bind {DOCKERD} /run/own/dockerd
printf '#!/bin/sh\\nexec unshare --net /run/own/dockerd "$@"\\n' >/run/dockerd
chmod 755 /run/dockerd && mount --bind /run/dockerd {DOCKERD}
sed 's/^docker:.*/&,nobody/; s/:,nobody/:nobody/' /etc/group >/run/group
mount --bind /run/group /etc/group && exec "$0" "$@"
"""
PRIVATE = [*NAMESPACE, "sh", "-c", _PREPARE]
_CONFIGURED = "mount -t tmpfs tmpfs /etc/docker && printf %s '{}' >/etc/docker/daemon.json;"
DOCKER_STOP = 10  # seconds
OPTIONS = "--bridge=none --iptables=false --storage-driver=vfs"

pytestmark = pytest.mark.image


@pytest.fixture(scope="session", autouse=True)
def _engine() -> None:
    """Docker's programs; the image tests install them."""
    if DOCKERD is None:
        pytest.skip("there is no dockerd")
    for storage in ("/var/lib/docker", "/var/lib/containers"):
        Path(storage).mkdir(exist_ok=True)


def test_engine_is_ready_before_github_lists_the_runner(life: Life, simulator: Simulator) -> None:
    """A job finds an engine that answers, and afterwards the engine is gone."""
    simulator.queue_job("echo engine: $(curl -s --unix-socket /run/docker.sock http://d/_ping)")
    life.start(namespace=PRIVATE, RUNNER_ENGINE="docker", RUNNER_ENGINE_OPTIONS=OPTIONS)
    assert life.wait() == 0
    assert "engine: OK" in simulator.jobs()[0]["log"]
    events = [line["event_name"] for line in life.log]
    assert events.index("engine.ready") < events.index("runner.registered")
    assert simulator.runners() == []


def private(prepare: str) -> list[str]:
    """Return PRIVATE with a further line of shell before the program."""
    return [*NAMESPACE, "sh", "-c", _PREPARE.replace('exec "$0"', f'{prepare or ":"}\nexec "$0"')]


def configured(text: str) -> list[str]:
    """Return PRIVATE with a daemon.json of this text."""
    return private(_CONFIGURED.replace("{}", text))


def test_settings_reach_dockerd(life: Life, simulator: Simulator) -> None:
    """Each setting reaches dockerd, except one that a mounted daemon.json sets already."""
    root = life.directory / "images"
    job = simulator.queue_job(
        "docker info --format '{{json .RegistryConfig.Mirrors}} {{.DockerRootDir}} {{.Driver}}"
        " {{json .DefaultAddressPools}} {{json .RegistryConfig.IndexConfigs}}'"
    )
    life.start(
        namespace=configured('{"registry-mirrors": ["https://theirs.example"], "mtu": 1300}'),
        RUNNER_ENGINE="docker",
        RUNNER_ENGINE_MTU="1400",
        RUNNER_ENGINE_MIRRORS="https://ours.example",
        RUNNER_ENGINE_INSECURE_REGISTRIES="registry.example:5000",
        RUNNER_ENGINE_DATA_ROOT=str(root),
        RUNNER_ENGINE_STORAGE_DRIVER="vfs",
        RUNNER_ENGINE_ADDRESS_POOL="base=10.200.0.0/16,size=24",
        RUNNER_ENGINE_OPTIONS="--bridge=none --iptables=false --label 'with space=1'",
    )
    assert life.wait() == 0, life.output
    log = simulator.job(job["id"])["log"]
    assert f'["https://theirs.example/"] {root} vfs' in log
    assert '[{"Base":"10.200.0.0/16","Size":24}]' in log
    assert '"registry.example:5000":{' in log
    assert "copies whole images (storage driver vfs)" in life.output


@pytest.mark.parametrize(
    ("prepare", "options", "words"),
    [
        (_CONFIGURED.replace("{}", '{"mtu": '), "", "/etc/docker/daemon.json: unexpected EOF"),
        (_CONFIGURED.replace("{}", '{"no-such": 1}'), "", "no-such"),
        pytest.param(
            *("", "--host=tcp://0.0.0.0:7 --host=tcp://127.0.0.1:7", "address already in use"),
            marks=pytest.mark.exhaustive,  # dockerd tries for fifteen seconds before it ends
        ),
        ("mkdir /run/docker.sock", "", "docker.sock"),
        ("mount -t tmpfs -o size=64k tmpfs /var/lib/docker", "", "no space left on device"),
    ],
    ids=["broken file", "unknown key", "port", "socket", "full disk"],
)
def test_dockerd_that_cannot_start(
    life: Life, simulator: Simulator, prepare: str, options: str, words: str
) -> None:
    """The exit code is 69 at once, the message has dockerd's reason, and nothing is registered."""
    life.start(
        namespace=private(prepare),
        RUNNER_ENGINE="docker",
        RUNNER_ENGINE_OPTIONS=f"{OPTIONS} {options}",
        RUNNER_MIN_FREE_DISK="0",
    )
    assert life.wait() == 69, life.output
    assert words in life.error()
    assert simulator.runners() == []


def test_pid_file_of_an_earlier_start(life: Life, simulator: Simulator) -> None:
    """A pid file with the number of a process that is alive now does not prevent the start."""
    simulator.queue_job()
    prepare = "echo 1 >/run/docker.pid; mkdir -p /run/docker/containerd"
    life.start(
        namespace=private(f"{prepare}; echo 1 >/run/docker/containerd/containerd.pid"),
        RUNNER_ENGINE="docker",
        RUNNER_ENGINE_OPTIONS=OPTIONS,
    )
    assert life.wait() == 0, life.output


def test_engine_that_never_answers(life: Life, simulator: Simulator) -> None:
    """The life waits RUNNER_WAIT_FOR_DOCKER_IN_SECONDS for it, and then ends with 69."""
    life.start(
        namespace=PRIVATE,
        RUNNER_ENGINE="docker",
        PATH=path_with_a_dockerd(life, "echo starting; exec sleep 300"),
        RUNNER_WAIT_FOR_DOCKER_IN_SECONDS="1",
    )
    assert life.wait() == 69, life.output
    assert "did not answer within 1 s: starting" in life.error()
    assert simulator.runners() == []


def test_podmans_service_is_an_engine_too(life: Life, simulator: Simulator) -> None:
    """A job finds podman's service by DOCKER_HOST, and the service ends with the runner."""
    simulator.queue_job(
        "echo engine: $(curl -s --unix-socket ${DOCKER_HOST#unix://} http://d/_ping)\n"
        "docker import /dev/null empty >&2; docker image ls --format '{{.Repository}}'"
    )
    life.start(namespace=PRIVATE, RUNNER_ENGINE="podman")
    assert life.wait() == 0, life.output
    assert "engine: OK\n" in simulator.jobs()[0]["log"]
    assert "empty" in simulator.jobs()[0]["log"].splitlines()[-1]
    assert simulator.runners() == []


def test_engine_that_does_not_start_ends_in_69(life: Life, simulator: Simulator) -> None:
    """Nothing is registered, and the message quotes the engine."""
    life.start(namespace=PRIVATE, RUNNER_ENGINE="docker", RUNNER_ENGINE_OPTIONS="--no-such-option")
    assert life.wait() == 69
    assert "no-such-option" in life.error()
    assert "/actions/runners/register" not in [r["path"] for r in simulator.requests()]


def test_state_directory_that_is_none_ends_in_69(life: Life, simulator: Simulator) -> None:
    """If the engine's log cannot be written, no engine starts, and the error has the place."""
    file = life.directory / "file"
    file.touch()
    life.start(namespace=PRIVATE, RUNNER_ENGINE="docker", RUNNER_STATE_DIR=f"{file}/state")
    assert life.wait() == 69
    assert f"{file}/state: Not a directory" in life.error()
    assert simulator.requests() == []


def path_with_a_dockerd(life: Life, script: str) -> str:
    """Return a PATH on which dockerd is a shell script."""
    folder = life.directory / "bin"
    folder.mkdir()
    (folder / "dockerd").write_text(f"#!/bin/sh\n{script}\n")
    (folder / "dockerd").chmod(0o755)
    return f"{folder}:{life.env['PATH']}"


def test_stop_while_the_engine_starts(life: Life, simulator: Simulator) -> None:
    """A stop does not wait for the engine; nothing was registered."""
    path = path_with_a_dockerd(life, "exec sleep 300")
    life.start(namespace=PRIVATE, RUNNER_ENGINE="docker", PATH=path)
    life.pid_of("sleep")
    assert life.signal().wait() == 143
    assert simulator.requests() == []


def test_container_of_a_cancelled_job_is_stopped(life: Life, simulator: Simulator) -> None:
    """A cancelled job with a container is reported in time, and the container is gone."""
    host = " ".join(f"-v {path}:{path}:ro" for path in ("/usr", "/lib", "/lib64"))
    job = simulator.queue_job(
        "tar -c -T /dev/null | docker import - empty\n"
        f"docker run --network none {host} empty /usr/bin/sh -c"
        " 'trap \"\" INT TERM; echo begun; while :; do sleep 1; done'"
    )
    life.start(
        namespace=PRIVATE,
        RUNNER_ENGINE="docker",
        RUNNER_ENGINE_OPTIONS=OPTIONS,
        RUNNER_CANCEL_TIMEOUT="1",
    )
    simulator.wait_for("job_output", text="begun")
    stopped = time.monotonic()
    assert life.signal().wait() == 143
    assert time.monotonic() - stopped < DOCKER_STOP
    assert simulator.job(job["id"])["status"] == "completed"
    assert simulator.runners() == []


def test_engine_outlives_the_job_that_a_stop_cancels(life: Life, simulator: Simulator) -> None:
    """The job's processes end first, and the engine last."""
    job = simulator.queue_job("echo begun; trap '' INT TERM; while :; do sleep 1; done")
    life.start(
        namespace=PRIVATE,
        RUNNER_ENGINE="docker",
        RUNNER_ENGINE_OPTIONS=OPTIONS,
        RUNNER_CANCEL_TIMEOUT="0.2",
    )
    simulator.wait_for("job_output", text="begun")
    assert "dockerd" in life.inside().values()
    assert life.signal().wait() == 143
    assert simulator.job(job["id"])["status"] == "completed"
    log = (Path(life.env["RUNNER_STATE_DIR"]) / "engine.log").read_text()
    assert "Processing signal 'terminated'" in log


def test_engine_that_dies_while_idle(life: Life, simulator: Simulator) -> None:
    """The runner is taken off the list, and the exit code is the engine's."""
    life.start(namespace=PRIVATE, RUNNER_ENGINE="docker", RUNNER_ENGINE_OPTIONS=OPTIONS)
    simulator.wait_for("session_opened", timeout=60)
    os.kill(life.pid_of("dockerd"), signal.SIGKILL)
    assert life.wait() == 69, life.output
    assert "has ended with 137" in life.error()
    assert simulator.runners() == []


def test_engine_that_dies_in_a_job_is_told(life: Life, simulator: Simulator) -> None:
    """The job goes on, and the log says at once why the job's containers fail."""
    end = life.directory / "end"
    job = simulator.queue_job(f"echo begun; until [ -e {end} ]; do sleep 0.05; done")
    life.start(namespace=PRIVATE, RUNNER_ENGINE="docker", RUNNER_ENGINE_OPTIONS=OPTIONS)
    simulator.wait_for("job_output", text="begun", timeout=60)
    os.kill(life.pid_of("dockerd"), signal.SIGKILL)
    until(lambda: "engine.died" in life.output)
    end.touch()
    assert life.wait() == 0, life.output
    assert simulator.job(job["id"])["result"] == "succeeded"


def test_engine_elsewhere_is_waited_for(life: Life, simulator: Simulator) -> None:
    """If DOCKER_HOST never answers, the life ends with 69 and registers nothing."""
    life.start(
        RUNNER_ENGINE="auto",
        DOCKER_HOST=f"unix://{life.directory}/none.sock",
        RUNNER_WAIT_FOR_DOCKER_IN_SECONDS="1",
    )
    assert life.wait() == 69, life.output
    assert "RUNNER_WAIT_FOR_DOCKER_IN_SECONDS" in life.error()
    assert simulator.runners() == []


def test_engine_elsewhere_that_comes_late(life: Life, simulator: Simulator) -> None:
    """If a sidecar's engine answers late, the runner waits for it before it registers."""
    path = life.directory / "late.sock"
    simulator.queue_job("exit 0")
    life.env |= {"RUNNER_ENGINE": "auto", "RUNNER_WAIT_FOR_DOCKER_IN_SECONDS": "30"}
    life.start(DOCKER_HOST=f"unix://{path}")
    simulator.wait_for("answer", path="/registration-token")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        connection, _ = server.accept()
        connection.recv(100)
        connection.sendall(b"HTTP/1.0 200 OK\r\n\r\nOK")
        connection.close()
    assert life.wait() == 0, life.output


def test_what_a_job_leaves_on_a_shared_engine(life: Life, simulator: Simulator) -> None:
    """At the end everything with this runner's label is removed from the engine, and no more."""
    label = "$(sed 's/^\\xef\\xbb\\xbf//' .runner | tr A-Z a-z | sha256sum | cut -c1-6)"
    ours, theirs = f"gh-runner-ours-{os.getpid()}", f"gh-runner-theirs-{os.getpid()}"
    job = simulator.queue_job(
        f"cd {life.home}; docker network create --label {label} {ours} && "
        f"docker network create --label ffffff {theirs} && docker ps -q"
    )
    try:
        engine = "unix:///run/docker.sock"
        life.start(namespace=NAMESPACE, RUNNER_ENGINE="auto", DOCKER_HOST=engine)
        assert life.wait() == 0, life.output
        assert simulator.job(job["id"])["result"] == "succeeded", simulator.job(job["id"])["log"]
        listed = subprocess.check_output(["docker", "network", "ls"], text=True)
        assert ours not in listed
        assert theirs in listed
    finally:
        for name in (ours, theirs):
            subprocess.run(["docker", "network", "rm", name], capture_output=True, check=False)


def test_too_little_space(life: Life, simulator: Simulator) -> None:
    """If the disk is nearly full, the life ends with 75 and the numbers: space may be freed."""
    assert life.start(RUNNER_MIN_FREE_DISK="900000G").wait() == 75, life.output
    assert "MiB free" in life.error()
    assert simulator.requests() == []


def test_too_little_space_for_images(life: Life, simulator: Simulator) -> None:
    """The disk of the engine's data root is checked too, set by a setting or by daemon.json."""
    tmpfs = "mkdir /run/small && mount -t tmpfs -o size=100m tmpfs /run/small; "
    life.start(
        namespace=private(tmpfs + _CONFIGURED.replace("{}", '{"data-root": "/run/small/new"}')),
        RUNNER_ENGINE="docker",
    )
    assert life.wait() == 75, life.output
    assert "/run/small/new has 100 MiB free, and RUNNER_MIN_FREE_DISK asks for 1024" in life.error()
    assert simulator.requests() == []


def test_log_of_an_engine_is_bounded(life: Life, simulator: Simulator) -> None:
    """However much an engine writes, its log has ten megabytes at most, and ends with its end."""
    life.start(
        namespace=PRIVATE,
        RUNNER_ENGINE="docker",
        PATH=path_with_a_dockerd(life, "yes chatter | head -c 23000000; echo last words; exit 3"),
    )
    assert life.wait() == 69, life.output
    assert "ended with 3: " in life.error()
    assert "last words" in life.error()
    logs = list(Path(life.env["RUNNER_STATE_DIR"]).glob("engine.log*"))
    assert sum(log.stat().st_size for log in logs) <= 10_000_000
    assert simulator.runners() == []


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("tcp://engine:x", "it is no address of the form tcp://HOST:PORT"),
        ("/run/docker.sock", "the address of a socket is unix:///run/docker.sock"),
        ("https://engine:2376", "takes no address that begins with https://"),
        ("tcp://127.0.0.1:1", "Connection refused"),
        ("tcp://[::1]:1", "Connection refused"),
    ],
)
def test_address_at_which_no_engine_is(
    life: Life, simulator: Simulator, address: str, words: str
) -> None:
    """The life ends with 69, and the message says what is wrong with DOCKER_HOST, or there."""
    life.start(RUNNER_ENGINE="auto", DOCKER_HOST=address, RUNNER_WAIT_FOR_DOCKER_IN_SECONDS="1")
    assert life.wait() == 69, life.output
    assert words in life.error()
    assert simulator.runners() == []


def test_own_engine_beside_docker_host(life: Life, simulator: Simulator) -> None:
    """If RUNNER_ENGINE names an engine, jobs get that one, and a note says so."""
    job = simulator.queue_job('echo "engine: $(docker info --format {{.ServerVersion}})"')
    life.start(
        namespace=PRIVATE,
        RUNNER_ENGINE="docker",
        RUNNER_ENGINE_OPTIONS=OPTIONS,
        DOCKER_HOST="tcp://127.0.0.1:1",
    )
    assert life.wait() == 0, life.output
    assert "DOCKER_HOST: jobs do not get it" in life.output
    assert re.search(r"engine: \d", simulator.job(job["id"])["log"])
