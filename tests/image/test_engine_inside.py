"""A container engine inside the runner's container, for the jobs."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from simulator import Simulator
from tests.image.conftest import StartRunner
from tests.image.engine import Engine

# What an engine needs if it is not run by sysbox. --privileged would do too, but it needs
# CAP_SYS_RESOURCE, which not every machine that runs these tests has.
POWERS = [
    *("--cap-add", "ALL", "--cap-drop", "SYS_RESOURCE"),
    *("--security-opt", "seccomp=unconfined", "--security-opt", "systempaths=unconfined"),
    *("--volume", "/sys/fs/cgroup:/sys/fs/cgroup:rw"),
    *("--volume", "/var/lib/docker", "--volume", "/var/lib/containers"),
]
STOP_SECONDS = 10
MTU = 1400
# There is no registry, so the job makes its image of programs of the container around it.
IMPORT = """
set -e
programs='/bin/sh /bin/cat /bin/sleep'
libraries=$(ldd $programs | grep -o '/lib[^ ]*' | sort -u)
tar --create --dereference $programs $libraries 2>/dev/null | docker import - base
"""
USE = (
    IMPORT
    + """
docker run --rm base cat /sys/class/net/eth0/mtu | sed 's/^/default network: /'
printf 'FROM base\\nRUN echo built >/said\\nCMD ["cat", "/said"]\\n' | docker build --tag mine -
docker run --rm mine
docker network create own
docker run --rm --network own base cat /sys/class/net/eth0/mtu | sed 's/^/own network: /'
docker network create --opt com.docker.network.driver.mtu=1300 set
docker run --rm --network set base cat /sys/class/net/eth0/mtu | sed 's/^/set network: /'
python='--volume /usr:/usr:ro --volume /lib:/lib:ro --volume /lib64:/lib64:ro base /usr/bin/python3'
docker run --detach --network own --name web --publish 8000:8000 $python -m http.server 8000
curl --silent --retry 20 --retry-all-errors --retry-delay 1 http://127.0.0.1:8000/ | grep -c title
docker run --rm --network own $python -c '
from urllib.request import urlopen
print("by its name:", urlopen("http://web:8000").status)'
"""
)
STAY = "docker run --detach --name stays base sleep 600; echo begun; "


@pytest.fixture
def narrow(docker: Engine, network: str) -> Iterator[str]:
    """A network with a smaller MTU than Ethernet's, as in a cloud or a tunnel."""
    name = f"{network}-narrow"
    option = f"com.docker.network.driver.mtu={MTU}"
    docker("network", "create", "--opt", option, name, check=False)
    yield name
    docker("network", "rm", name, check=False)


@pytest.mark.parametrize("engine", ["docker", "podman"])
def test_job_uses_containers(
    start: StartRunner, github: Simulator, full_image: str, narrow: str, engine: str
) -> None:
    """A job runs and builds images, makes networks and services, by `docker` and without sudo."""
    job = github.queue_job(USE)
    container = start(
        *POWERS,
        image=full_image,
        network=narrow,
        RUNNER_ENGINE=engine,
        RUNNER_ENGINE_ADDRESS_POOL="base=10.213.0.0/16,size=24",
    )
    assert container.wait() == 0, container.logs()
    assert "can take this address" not in container.logs()
    log = github.job(job["id"])["log"]
    assert github.job(job["id"])["result"] == "succeeded", log
    assert "\nbuilt\n" in log
    # dockerd and podman give the networks of jobs this MTU since some version; else it is said.
    warned = "networks that jobs create have an MTU of 1500" in container.logs()
    assert (f"own network: {MTU}\n" in log) != warned, log
    assert f"default network: {MTU}\n" in log or (engine == "podman" and warned)
    assert "set network: 1300\n" in log
    assert "by its name: 200\n" in log


def test_address_of_github_among_those_of_new_networks(
    start: StartRunner, github: Simulator, full_image: str, narrow: str
) -> None:
    """A GitHub behind the default route whose address dockerd may give away is warned of."""
    github.queue_job()
    container = start(*POWERS, image=full_image, network=narrow, RUNNER_ENGINE="docker")
    assert container.wait() == 0, container.logs()
    address = urlsplit(github.url).hostname
    assert f"{address} is at {address}: " in container.logs()


@pytest.mark.parametrize("engine", ["auto", "podman"])
def test_second_start_after_a_stop_in_a_job(
    start: StartRunner, github: Simulator, full_image: str, engine: str
) -> None:
    """After a stop or a kill, the same container is started again and has an engine that works."""
    job = github.queue_job(IMPORT + STAY + "sleep 60")
    container = start(*POWERS, image=full_image, RUNNER_ENGINE=engine, RUNNER_CANCEL_TIMEOUT="1")
    github.wait_for("job_output", job_id=job["id"], text="begun\n", timeout=60)
    assert container.stop() < STOP_SECONDS
    assert container.wait() == 143, container.logs()
    running = "echo running: $(docker ps --quiet); docker rm --force stays; "
    for end in ("sleep 60", "exit 0"):
        job = github.queue_job(running + STAY + end)
        container.start()
        github.wait_for("job_output", job_id=job["id"], text="begun\n", timeout=60)
        assert "running:\n" in github.job(job["id"])["log"]
        if end == "sleep 60":
            container.kill()
    assert container.wait() == 0, container.logs()
    assert github.job(job["id"])["result"] == "succeeded"


def test_runner_without_powers_has_no_engine(
    start: StartRunner, github: Simulator, full_image: str
) -> None:
    """By default it does without an engine; one that a setting asks for ends it with the reason."""
    job = github.queue_job("docker version")
    denied = {name: start(image=full_image, RUNNER_ENGINE=name) for name in ("docker", "podman")}
    container = start(image=full_image)
    for name, other in denied.items():
        assert other.wait() == 69, other.logs()
        assert f"the container engine ({name})" in other.logs()
        assert "run the container under sysbox" in other.logs()
    assert container.wait() == 0, container.logs()
    assert "Cannot connect to the Docker daemon" in github.job(job["id"])["log"]
    assert "container engine for jobs: none" in container.logs()
    assert "this container may make no containers" in container.logs()
