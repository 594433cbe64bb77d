"""A job with `container:` or `services:` makes containers as GitHub's runner does."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from simulator import Simulator
from tests.simulator.home import RunnerHome, finish
from tests.support import docker_engine
from tests.support.life import until
from tests.support.registry import registry

IMAGE = "registry.example/db:1"
# Writes down its arguments, and prints what an engine would print.
DOCKER = """\
#!/bin/bash
echo "$*" >>{calls}
case $1 in
create) echo 0123456789ab ;;
ps) [[ $* != *status=running* ]] || echo 0123456789ab Up ;;
exec) exec sleep 60 ;;
pull) exit {pull} ;;
esac
"""


class Recorded:
    """A docker command that writes down how it is called."""

    def __init__(self, home: RunnerHome, pull: int = 0) -> None:
        self._calls = home.path / "calls"
        self._calls.touch()
        self._calls.chmod(0o666)
        folder = home.path / "fake"
        folder.mkdir()
        (folder / "docker").write_text(DOCKER.format(calls=self._calls, pull=pull))
        (folder / "docker").chmod(0o755)
        self.env = {"PATH": f"{folder}:{os.environ['PATH']}"}

    def calls(self) -> list[str]:
        """Return the calls so far."""
        return self._calls.read_text().splitlines()

    def commands(self) -> list[str]:
        """Return the first words of the calls."""
        return [call.split()[0] for call in self.calls()]


def label(home: RunnerHome) -> str:
    """Return the label of everything that the registration makes."""
    text = (home.path / ".runner").read_bytes().removeprefix(b"\xef\xbb\xbf").decode()
    return hashlib.sha256(text.lower().encode()).hexdigest()[:6]


def test_services(simulator: Simulator, home: RunnerHome) -> None:
    """The commands and their order are the real ones; all that is made has one label."""
    docker = Recorded(home)
    wanted = label(home.configured())
    process = home.listen(env=docker.env)
    job = simulator.queue_job("echo step", services={"db": IMAGE})
    assert finish(process)[0] == 0
    assert simulator.job(job["id"])["result"] == "succeeded", simulator.job(job["id"])["log"]
    assert "step\n" in simulator.job(job["id"])["log"]
    assert docker.commands() == [
        *("version", "version", "ps", "network", "network", "pull"),
        *("create", "start", "ps", "port", "inspect"),
        *("logs", "rm", "network"),
    ]
    made = [call for call in docker.calls() if "create " in call]
    assert len(made) == 2
    assert all(f"--label {wanted} " in call for call in made)
    assert "--network-alias db" in made[1]
    assert docker.calls()[-1].split()[-1] == made[0].split()[-1]


def test_job_in_a_container(simulator: Simulator, home: RunnerHome) -> None:
    """The steps run in the container, which has the work folder at /__w."""
    docker = Recorded(home)
    process = home.configured().listen(env=docker.env)
    simulator.queue_job("echo step", container=IMAGE)
    until(lambda: "exec" in docker.commands())
    os.kill(home.listener, signal.SIGINT)
    assert finish(process)[0] == 0
    [step] = [call for call in docker.calls() if call.startswith("exec ")]
    assert step.startswith("exec -i --workdir /__w/shop/shop 0123456789ab sh -e /__w/_temp/")
    [created] = [call for call in docker.calls() if call.startswith("create ")]
    assert f"-v {home.path}/_work:/__w" in created
    assert created.endswith("--entrypoint tail registry.example/db:1 -f /dev/null")


def test_image_that_cannot_be_pulled(simulator: Simulator, home: RunnerHome) -> None:
    """The job fails before its first step, and its network is removed."""
    docker = Recorded(home, pull=1)
    process = home.configured().listen(env=docker.env)
    job = simulator.queue_job("echo step", services={"db": IMAGE})
    assert finish(process)[0] == 0
    done = simulator.job(job["id"])
    assert done["result"] == "failed"
    assert "Docker pull fail with exit code 1" in done["log"]
    assert "step" not in done["log"]
    assert docker.calls()[-1].startswith("network rm github_network_")


@pytest.mark.parametrize(
    ("containers", "left"), [({"container": IMAGE}, True), ({"services": {"db": IMAGE}}, False)]
)
def test_stop(
    simulator: Simulator, home: RunnerHome, containers: dict[str, object], left: bool
) -> None:
    """A signal leaves the job's own container and its network; services are removed."""
    docker = Recorded(home)
    process = home.configured().listen(env=docker.env)
    simulator.queue_job("sleep 60", **containers)
    wanted = "exec" if left else "inspect"
    until(lambda: wanted in docker.commands())
    os.kill(home.listener, signal.SIGINT)
    assert finish(process)[0] == 0
    assert ("network rm" in docker.calls()[-1]) is not left


def test_action_in_a_container(simulator: Simulator, home: RunnerHome) -> None:
    """The action's image is tagged with the label, and stays. Its container is removed."""
    docker = Recorded(home)
    wanted = label(home.configured())
    process = home.listen(env=docker.env)
    job = simulator.queue_job("echo step", dockerfile="FROM scratch\n")
    assert finish(process)[0] == 0
    assert simulator.job(job["id"])["result"] == "succeeded", simulator.job(job["id"])["log"]
    build, run = docker.calls()
    assert build.startswith(f"build -t {wanted}:")
    tag = build.split()[2]
    assert f"--label {wanted} --workdir /github/workspace --rm" in run
    assert run.endswith(f":/github/workspace {tag}")


HOOKS = """\
import json, sys
asked = json.load(sys.stdin)
print("hook:", asked["command"], asked["state"])
with open(asked["responseFile"], "w") as file:
    json.dump({"state": {"pod": "p1"}, "isAlpine": False}, file)
sys.exit(asked["command"] == "FAILING")
"""


@pytest.mark.parametrize("failing", ["", "prepare_job", "run_script_step", "cleanup_job"])
def test_container_hooks(simulator: Simulator, home: RunnerHome, failing: str) -> None:
    """The script makes the containers instead of docker; if the script fails, so does the job."""
    docker = Recorded(home)
    hooks = home.path / "hooks.py"
    hooks.write_text(HOOKS.replace("FAILING", failing))
    script = home.path / "hooks.sh"
    script.write_text(f"exec python3 {hooks}\n")
    env = docker.env | {"ACTIONS_RUNNER_CONTAINER_HOOKS": str(script)}
    process = home.configured().listen(env=env)
    job = simulator.queue_job("echo step", container=IMAGE)
    assert finish(process)[0] == 0
    done = simulator.job(job["id"])
    said = [line for line in done["log"].splitlines() if line.startswith("hook:")]
    assert said[0] == "hook: prepare_job {}"
    state = {} if failing == "prepare_job" else {"pod": "p1"}
    assert said[-1] == f"hook: cleanup_job {state}"
    assert ("hook: run_script_step {'pod': 'p1'}" in said) == (failing != "prepare_job")
    assert (done["result"] == "succeeded") == (failing in ("", "cleanup_job"))
    assert docker.calls() == []


def test_job_without_a_container_where_one_is_required(
    simulator: Simulator, home: RunnerHome
) -> None:
    """The job fails before its first step, with the words of GitHub's runner."""
    env = {"ACTIONS_RUNNER_REQUIRE_JOB_CONTAINER": "true"}
    process = home.configured().listen(env=env)
    job = simulator.queue_job("echo step")
    assert finish(process)[0] == 0
    done = simulator.job(job["id"])
    assert done["result"] == "failed"
    assert "Jobs without a job container are forbidden on this runner" in done["log"]
    assert "step\n" not in done["log"]


@pytest.fixture
def docker_cgroup() -> Iterator[Path]:
    """Make a control group below /docker, where Docker puts containers on cgroup v1."""
    v1 = Path("/sys/fs/cgroup/pids")
    parent = (v1 if v1.is_dir() else Path("/sys/fs/cgroup")) / "docker"
    group = parent / f"gh-runner-{os.getpid()}"
    group.mkdir(parents=True)
    yield group
    group.rmdir()


def test_no_containers_inside_a_container(
    simulator: Simulator, home: RunnerHome, docker_cgroup: Path
) -> None:
    """If PID 1 is below /docker/, the job is refused before its first step."""
    docker = Recorded(home)
    home.configured()
    enter = f"echo $$ >{docker_cgroup}/cgroup.procs; exec "
    command = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c"]
    home.env |= docker.env | {"RUNNER_ALLOW_RUNASROOT": "1"}
    process = subprocess.Popen([*command, enter + str(home.path / "run.sh")], env=home.env)
    job = simulator.queue_job("echo step", services={"db": IMAGE})
    assert process.wait(30) == 0
    done = simulator.job(job["id"])
    assert done["result"] == "failed"
    assert "Container feature is not supported when runner is already running inside" in done["log"]
    assert "echo step" not in done["log"]
    assert docker.calls() == []


@pytest.fixture(scope="module")
def engine() -> str:
    """Return the docker command, with an engine that answers."""
    return docker_engine.require()


def labelled(engine: str, label: str) -> list[str]:
    """Return the ids of the containers and networks with a label."""
    found = []
    for kind in (["ps", "--all"], ["network", "ls"]):
        command = [engine, *kind, "--quiet", "--filter", f"label={label}"]
        found += subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    return found


@pytest.mark.image
@pytest.mark.parametrize("where", ["service", "container"])
def test_real_engine(simulator: Simulator, home: RunnerHome, engine: str, where: str) -> None:
    """While the job runs there are a labelled container and network, and afterwards none."""
    home.configured()
    done = home.path / "_work/done"
    home.env |= {"RUNNER_ALLOW_RUNASROOT": "1"}  # the user nobody may not use the engine
    process = home.listen(root=True)
    wanted = label(home)
    inside = "/__w/done" if where == "container" else done
    with registry(f"gh-runner-{os.getpid()}") as image:
        images = {"container": image} if where == "container" else {"services": {"db": image}}
        job = simulator.queue_job(
            f"echo begun; while [ ! -e {inside} ]; do sleep 0.1; done; echo end", **images
        )
        simulator.wait_for("job_output", text="begun")
        assert len(labelled(engine, wanted)) == 2
        done.touch()
        assert finish(process, 60)[0] == 0
        assert simulator.job(job["id"])["result"] == "succeeded", simulator.job(job["id"])["log"]
        assert labelled(engine, wanted) == []
        subprocess.run([engine, "image", "rm", "--force", image], check=True, capture_output=True)
