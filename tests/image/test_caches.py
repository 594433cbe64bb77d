"""Caches that survive a container: volumes with tools, actions and images, and a proxy for apt."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from simulator import Simulator
from tests.image.conftest import StartRunner
from tests.image.engine import Engine
from tests.image.test_engine_inside import IMPORT, POWERS
from tests.support.life import until

SHA = "0123456789abcdef0123456789abcdef01234567"
STORES = """
[storage]
driver = "overlay"
runroot = "/run/containers/storage"
graphroot = "/var/lib/containers/storage"
[storage.options]
additionalimagestores = ["/images"]
"""


@pytest.fixture
def volume(docker: Engine) -> Iterator[str]:
    """An empty volume."""
    name = docker("volume", "create")
    yield name
    until(lambda: docker.attempt("volume", "rm", "--force", name).returncode == 0)


@contextmanager
def cache_of_packages(address: str) -> Iterator[tuple[str, list[str]]]:
    """Run what stands where apt-cacher-ng would; its address, and what apt has asked it for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(404)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer((address, 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://{address}:{server.server_port}", asked
        server.shutdown()


def test_tools_and_actions(
    volume: str, start: StartRunner, github: Simulator, tmp_path: Path
) -> None:
    """One job installs a tool; two later ones find it side by side, and cannot change it."""
    actions = tmp_path / "actions"
    (actions / "actions_checkout").mkdir(parents=True)
    (actions / "actions_checkout" / f"{SHA}.tar.gz").touch()
    filling = github.queue_job(
        "mkdir $RUNNER_TOOL_CACHE/node && echo 24 >$RUNNER_TOOL_CACHE/node/v"
    )
    assert start("--volume", f"{volume}:/opt/hostedtoolcache").wait() == 0
    assert github.job(filling["id"])["result"] == "succeeded", github.job(filling["id"])["log"]

    look = (
        "cat $RUNNER_TOOL_CACHE/node/v; touch $RUNNER_TOOL_CACHE/x || true;"
        " ls $ACTIONS_RUNNER_ACTION_ARCHIVE_CACHE/actions_checkout"
    )
    jobs = [github.queue_job(look) for _ in range(2)]
    options = [
        "--volume",
        f"{volume}:/opt/hostedtoolcache:ro",
        "--volume",
        f"{actions}:/actions:ro",
    ]
    variable = {"ACTIONS_RUNNER_ACTION_ARCHIVE_CACHE": "/actions"}
    containers = [start(*options, **variable) for _ in jobs]
    for container, job in zip(containers, jobs, strict=True):
        assert container.wait() == 0, container.logs()
        tool, refusal, archive = github.job(job["id"])["log"].splitlines()
        assert (tool, archive) == ("24", f"{SHA}.tar.gz")
        assert "Read-only file system" in refusal
        assert "RUNNER_TOOL_CACHE" not in container.logs()  # read-only is on purpose


def test_folder_for_tools_that_belongs_to_root(
    start: StartRunner, github: Simulator, tmp_path: Path
) -> None:
    """An empty one is given to the jobs' user; of any other it is said that jobs cannot write."""
    empty, full = tmp_path / "empty", tmp_path / "full"
    empty.mkdir()
    (full / "node").mkdir(parents=True)
    jobs = [github.queue_job("touch $RUNNER_TOOL_CACHE/x || true") for _ in range(2)]
    containers = [start("--volume", f"{path}:/opt/hostedtoolcache") for path in (empty, full)]
    for container in containers:
        assert container.wait() == 0, container.logs()
    assert (empty / "x").exists()
    assert not (full / "x").exists()
    told = ["no job can install a tool" in container.logs() for container in containers]
    assert told == [False, True]
    assert {github.job(job["id"])["result"] for job in jobs} == {"succeeded"}


def test_packages(start: StartRunner, github: Simulator, tmp_path: Path) -> None:
    """A job's apt asks the cache for its packages if a mounted file names it."""
    with cache_of_packages(github.url.split("/")[2].split(":")[0]) as (url, asked):
        file = tmp_path / "01cache"
        file.write_text(f'Acquire::http::Proxy "{url}";\n')
        github.queue_job("sudo apt-get update || true")
        container = start("--volume", f"{file}:/etc/apt/apt.conf.d/01cache:ro")
        assert container.wait() == 0, container.logs()
    assert any(path.startswith("http://") and "/dists/" in path for path in asked)


def test_images(
    docker: Engine,
    volume: str,
    start: StartRunner,
    github: Simulator,
    full_image: str,
    tmp_path: Path,
) -> None:
    """Two runners with podman have the images of one read-only volume, at the same time."""
    (tmp_path / "storage.conf").write_text(STORES)
    fill = IMPORT.replace("docker import - ", "podman --root /images import - localhost/")
    docker(
        *("run", "--rm", *POWERS, "--volume", f"{volume}:/images", "--entrypoint", "bash"),
        *(full_image, "-c", fill),
    )
    for _ in range(2):
        github.queue_job("docker run --rm --network none base cat /bin/cat | wc -c")
    options = [*POWERS, "--volume", f"{volume}:/images:ro"]
    options += ["--volume", f"{tmp_path}/storage.conf:/etc/containers/storage.conf:ro"]
    containers = [start(*options, image=full_image, RUNNER_ENGINE="podman") for _ in range(2)]
    for container in containers:
        assert container.wait() == 0, container.logs()
    for job in github.jobs():
        assert job["result"] == "succeeded", job["log"]
        assert int(job["log"].splitlines()[-1]) > 0
