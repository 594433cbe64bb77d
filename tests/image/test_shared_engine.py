"""Two runners at once on one engine of the host, whose socket is mounted into both."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from simulator import Simulator
from tests.image.conftest import StartRunner
from tests.image.engine import Container, Engine
from tests.image.private_engine import PrivateEngine, private_engine

GROUP = 4242  # no group of the image has this number
STOP_SECONDS = 10


@pytest.fixture(scope="module")
def host(docker: Engine) -> Iterator[PrivateEngine]:
    """The engine of a host."""
    folder = Path(tempfile.mkdtemp(prefix="gh-runner-engine-"))
    folder.chmod(0o755)
    with private_engine(docker, folder, GROUP) as engine:
        yield engine


class Runner:
    """A runner's container with the host's socket, and a work folder under the host's path."""

    def __init__(self, github: Simulator, name: str, work: Path) -> None:
        self._github, self._name, self._work = github, name, work
        self.container: Container
        work.mkdir()
        work.chmod(0o777)

    def start(self, start: StartRunner, image: str, host: PrivateEngine, **settings: str) -> Runner:
        """Start it, and wait until it listens."""
        options = ["--cgroupns=private", "--volume", f"{host.socket}:/run/docker.sock"]
        options += ["--volume", f"{self._work}:{self._work}"]
        own = {"RUNNER_LABELS": self._name, "RUNNER_NAME": self._name}
        own["RUNNER_WORKDIR"] = str(self._work)
        self.container = start(*options, image=image, **{**own, **settings})
        self._github.wait_for("session_opened", runner=self._name)
        return self

    @property
    def label(self) -> str:
        """The label of all that GitHub's runner makes here (IOUtil.GetSha256Hash in its source)."""
        text = self.container.execute("cat", "/home/runner/.runner").removeprefix("\ufeff")
        return hashlib.sha256(text.lower().encode()).hexdigest()[:6]

    def begin(self, script: str = "", **containers: object) -> None:
        """Queue a job for it, and wait until the job's step runs."""
        script = f"{script}echo begun; sleep 60"
        job = self._github.queue_job(script, labels=[self._name], **containers)
        self._github.wait_for("job_output", job_id=job["id"], text="begun\n")

    def stop(self) -> str:
        """Stop it during its job, and return its log."""
        assert self.container.stop() < STOP_SECONDS
        assert self.container.wait() == 143, self.container.logs()
        return self.container.logs()


def test_what_jobs_cannot_do_here(
    start: StartRunner, github: Simulator, full_image: str, host: PrivateEngine
) -> None:
    """Run and check say when GitHub's runner refuses containers, or the engine sees no files."""
    job = github.queue_job(services={"db": host.image})
    options = ["--cgroupns=host", "--volume", f"{host.socket}:/run/docker.sock"]
    check = start(*options, image=full_image, command=["check"])
    container = start(*options, image=full_image)
    assert container.wait() == 0, container.logs()
    check.wait()
    # With cgroup v2 and systemd's driver, the host's path of a container is not below /docker.
    refused = "Container feature is not supported when" in github.job(job["id"])["log"]
    for log in (check.logs(), container.logs()):
        assert ("start the container with --cgroupns=private" in log) == refused
        assert "does not see /home/runner/_work" in log


def test_stop_in_a_job_takes_along_what_is_its_own(
    start: StartRunner, github: Simulator, full_image: str, host: PrivateEngine, tmp_path: Path
) -> None:
    """The stopped job's containers, networks and images go; those of another runner stay."""
    about, at_first, image = host.socket.stat(), host.ids(), host.image
    one = Runner(github, "one", tmp_path / "one").start(start, full_image, host)
    two = Runner(github, "two", tmp_path / "two").start(
        start, full_image, host, RUNNER_CANCEL_TIMEOUT="1"
    )
    own = (
        f"docker run --detach --name stray {image} sleep 600;"
        " network=$(docker network ls --quiet --filter name=github_network_ | tail -n 1);"
        f" docker run --detach --name inmate --network $network {image} sleep 600; "
    )
    two.begin(own, services={"db": image}, dockerfile=f"FROM {image}\nCMD sh -c :\n")
    one.begin(container=image, services={"db": image})
    first, second = host.ids(one.label), host.ids(two.label)
    # The first job has two containers and a network, the second a container, a network and an
    # image. "inmate" has no label, but is on the second job's network.
    assert (len(first), len(second)) == (3, 3)

    log = one.stop()
    assert host.ids() & (first | second) == second, log
    assert "engine.not_cleaned" not in log
    assert "stray" not in log  # it was there before this runner's job

    log = two.stop()
    stray = host.client("ps", "--quiet", "--no-trunc", "--filter", "name=stray")
    pulled = set(host.client("image", "ls", "--quiet", image).split())
    assert host.ids() == at_first | {stray} | pulled, log
    assert f"container stray ({image})" in log
    assert {job["status"] for job in github.jobs()} == {"completed"}
    found = host.socket.stat()
    assert (found.st_ino, found.st_mode, found.st_gid) == (about.st_ino, about.st_mode, GROUP)
