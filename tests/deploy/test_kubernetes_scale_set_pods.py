"""The pods of scale sets, made and judged as actions-runner-controller does, and run."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import requests

from entrypoint.errors import ExitCode
from simulator import Simulator
from tests.deploy import kubernetes, pods
from tests.deploy.guest import Guest
from tests.deploy.kubernetes import Object
from tests.deploy.pods import QUICK, SIDECAR_IMAGE, Pod
from tests.deploy.pools import IMAGE
from tests.deploy.test_kubernetes_pods import LOOK, sidecar_image
from tests.deploy.test_kubernetes_scale_sets import FACTS, MODES, PLAIN, pod
from tests.probe import probe
from tests.probe.looks import results
from tests.support.life import until

TOGETHER = "second guest"

__all__ = ["sidecar_image"]

NAME = "set-abcde-runner-fghij"
JIT, KEY = "ACTIONS_RUNNER_INPUT_JITCONFIG", "jitToken"
WITHIN = 20.0  # seconds; a configuration that is used up must end the pod without any wait


class Controller:
    """The controller's requests to GitHub: register a runner, delete it."""

    def __init__(self, github: Simulator) -> None:
        """Use the credential that the simulator always accepts."""
        self._runners = f"{github.url}/repos/acme/shop/actions/runners"
        self._headers = {"Authorization": "Bearer ghp_simulator"}

    def register(self) -> tuple[int, str]:
        """Return the id of a new runner, and its JIT configuration."""
        labels = ["self-hosted", "Linux", "X64"]
        wanted = {"name": NAME, "runner_group_id": 1, "labels": labels, "work_folder": "_work"}
        url = f"{self._runners}/generate-jitconfig"
        made = requests.post(url, json=wanted, headers=self._headers, timeout=10).json()
        return made["runner"]["id"], made["encoded_jit_config"]

    def remove(self, number: int) -> None:
        """Take a runner off the list."""
        url = f"{self._runners}/{number}"
        requests.delete(url, headers=self._headers, timeout=10).raise_for_status()


def as_controller(template: Object) -> Object:
    """Add the variables that the controller adds to the container `runner`."""
    made = copy.deepcopy(template)
    reference = {"secretKeyRef": {"name": NAME, "key": KEY}}
    kubernetes.container(made)["env"] += [
        {"name": JIT, "valueFrom": reference},
        {"name": "GITHUB_ACTIONS_RUNNER_EXTRA_USER_AGENT", "value": "actions-runner-controller/1"},
        {"name": "ACTIONS_RUNNER_RETURN_VERSION_DEPRECATED_EXIT_CODE", "value": "1"},
        # The guest's image names its GitHub, and so does the configuration.
        {"name": "GITHUB_API_URL", "value": ""},
        {"name": "GITHUB_ALLOW_HTTP", "value": ""},
    ]
    return made


def as_chart(template: Object) -> Object:
    """Add to the pod what the chart adds in the mode "dind"."""
    made, facts = copy.deepcopy(template), FACTS["dind"]
    spec, runner = made["spec"], kubernetes.container(made)
    copied = {"name": "dind-externals", "mountPath": "/home/runner/tmpDir"}
    mounts = [{"name": name, "mountPath": path} for name, path in facts["mounts"].items()]
    engine = {
        "name": "dind",
        "image": SIDECAR_IMAGE,
        "restartPolicy": "Always",
        "args": ["dockerd", "--host=unix:///var/run/docker.sock", f"--group={facts['group']}"],
        "securityContext": {"privileged": True},
        "startupProbe": {"exec": {"command": ["docker", "info"]}},
        "volumeMounts": [
            *mounts,
            {"name": "dind-externals", "mountPath": "/home/runner/externals"},
        ],
    }
    copying = {
        "name": "init-dind-externals",
        "command": ["cp"],
        "args": ["-r", "/home/runner/externals/.", "/home/runner/tmpDir/"],
        "volumeMounts": [copied],
    }
    spec["initContainers"] = [copying, engine]
    spec["volumes"] = [{"name": n, "emptyDir": {}} for n in (*facts["mounts"], "dind-externals")]
    runner["env"].append({"name": "DOCKER_HOST", "value": "unix:///var/run/docker.sock"})
    runner["volumeMounts"] = mounts
    return made


@pytest.fixture
def controller(github: Simulator) -> Controller:
    """A controller for this GitHub."""
    return Controller(github)


@pytest.fixture
def play(guest: Guest, tmp_path: Path) -> Iterator[Callable[[Object, str], Pod]]:
    """Start a pod with a JIT configuration that the probe looks for."""
    with ExitStack() as exits:

        def start(template: Object, encoded: str) -> Pod:
            probe.write(str(tmp_path / "needles"), {"JIT configuration": encoded})
            for path in (Path(probe.__file__), tmp_path / "needles"):
                guest.write(f"{pods.PROBE}/{path.name}", path.read_text())
            given = pods.secret(NAME, **{KEY: encoded})
            return exits.enter_context(Pod(guest, NAME, as_controller(template), IMAGE, given))

        yield start


Play = Callable[[Object, str], Pod]


def test_job(play: Play, controller: Controller, github: Simulator) -> None:
    """The pod ends with 0 after a job that found nothing, and the controller deletes the runner."""
    _, encoded = controller.register()
    running = play(pod(PLAIN), encoded)
    github.wait_for("listening")
    assert "healthy" in running.execute("gh-runner", "status")
    job = github.queue_job(f"{LOOK}; sudo -n {LOOK}")
    assert running.wait() == 0, running.logs()
    done = github.job(job["id"])
    assert done["result"] == "succeeded", done["log"]
    assert [(look.uid, look.found) for look in results(done["log"])] == [(1001, set()), (0, set())]
    assert running.message() == ExitCode.DONE.meaning


def test_idle(play: Play, controller: Controller, github: Simulator) -> None:
    """A deleted idle pod ends with 143, and its registration stays for the next pod."""
    number, encoded = controller.register()
    with_first = play(pod(PLAIN), encoded)
    github.wait_for("listening")
    assert with_first.stop() < QUICK
    assert with_first.exit_code("runner") == 143, with_first.logs()
    assert [runner["id"] for runner in github.runners()] == [number]


def test_removed_first(play: Play, controller: Controller, github: Simulator) -> None:
    """When scaling down, the runner is off the list before the pod is deleted: it still ends."""
    number, encoded = controller.register()
    running = play(pod(PLAIN), encoded)
    github.wait_for("listening")
    controller.remove(number)
    running.stop()
    assert running.exit_code("runner") in {0, 143}, running.logs()
    assert github.runners() == []


def test_used_twice(play: Play, guest: Guest, controller: Controller, github: Simulator) -> None:
    """A pod whose configuration was used before ends at once, and frees its slot."""
    _, encoded = controller.register()
    github.queue_job()
    with Pod(
        guest, NAME, as_controller(pod(PLAIN)), IMAGE, pods.secret(NAME, **{KEY: encoded})
    ) as first:
        assert first.wait() == 0, first.logs()
    again = play(pod(PLAIN), encoded)
    code = int(guest.run("podman", "wait", f"{NAME}-runner", timeout=WITHIN))
    assert code == 0, again.logs()


def test_drain(play: Play, controller: Controller, github: Simulator) -> None:
    """While a node is drained the job goes on; GitHub's own image would cancel it."""
    _, encoded = controller.register()
    running = play(pod(PLAIN), encoded)
    job = github.queue_job("echo begun; sleep 2; echo done")
    github.wait_for("job_output")
    assert running.stop() < QUICK
    assert github.job(job["id"])["result"] == "succeeded"


def test_docker(play: Play, controller: Controller, github: Simulator, sidecar_image: str) -> None:
    """In the mode "dind" the job reaches the engine; the runner's state is not in its folder."""
    assert sidecar_image
    _, encoded = controller.register()
    running = play(as_chart(pod(MODES["dind"])), encoded)
    github.wait_for("listening")
    assert "healthy" in running.execute("gh-runner", "status")
    # podman fills a new volume with what the image has there; Kubernetes does not.
    found = running.execute(
        "sh", "-c", "cat /var/run/gh-runner/* 2>/dev/null || :", container="dind"
    )
    assert found == ""
    node = "/home/runner/externals/node24/bin/node"
    assert running.execute(node, container="dind").startswith("v24")
    until(lambda: "docker.sock" in running.execute("ls", "/var/run"))
    ask = "curl --silent --fail --unix-socket /var/run/docker.sock http://engine/version"
    job = github.queue_job(f"for _ in $(seq 100); do {ask} && exit; sleep 0.2; done; exit 1")
    assert running.wait() == 0, running.logs()
    assert github.job(job["id"])["result"] == "succeeded", github.job(job["id"])["log"]
