"""Every pod of deploy/kubernetes runs: it registers, does a job that finds nothing, and ends."""

from __future__ import annotations

import copy
import secrets
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from entrypoint.errors import ExitCode
from simulator import Simulator
from tests.deploy import kubernetes, pods
from tests.deploy.guest import Guest
from tests.deploy.kubernetes import KUSTOMIZATIONS, Object
from tests.deploy.pods import QUICK, Pod
from tests.deploy.pools import IMAGE
from tests.probe import probe
from tests.probe.looks import results
from tests.probe.needles import APP_ID, of_app
from tests.support.life import until

TOGETHER = "second guest"

DEPLOYMENT, DOCKER, RESTRICTED, SYSBOX = (
    f"overlays/{name}" for name in ("deployment", "docker", "restricted", "sysbox")
)
USER_NAMESPACES = "overlays/user-namespaces"
# For podman these pods are the same as the base's, or as another overlay's.
ALIKE = {f"overlays/{name}" for name in ("arm64", "gpu", "keda-arm64", "sysbox")}
LIVES = [
    pytest.param(name, marks=pytest.mark.exhaustive) if name in ALIKE else name
    for name in KUSTOMIZATIONS
    if name != DEPLOYMENT  # whose container does not end
]
PLACES = "/credential /dev /etc /home /root /run /tmp /var/log /var/tmp"
LOOK = f"python3 -I /probe/probe.py /probe/needles {PLACES}"
# The variables that Kubernetes sets in each pod of a namespace with a Service called "github".
SERVICE = {
    "GITHUB_PORT": "tcp://10.96.12.34:443",
    "GITHUB_PORT_443_TCP": "tcp://10.96.12.34:443",
    "GITHUB_PORT_443_TCP_ADDR": "10.96.12.34",
    "GITHUB_PORT_443_TCP_PORT": "443",
    "GITHUB_PORT_443_TCP_PROTO": "tcp",
    "GITHUB_SERVICE_HOST": "10.96.12.34",
    "GITHUB_SERVICE_PORT": "443",
}

Play = Callable[..., Pod]


@pytest.fixture(scope="module")
def sidecar_image(guest: Guest) -> str:
    """The guest's own system as an image with the name of the sidecar's."""
    image = "podman import --quiet --change ENV=PATH=/usr/sbin:/usr/bin:/sbin:/bin -"
    guest.run(
        *("sh", "-c", f"tar -C / -c usr etc bin sbin lib lib64 | {image} {pods.SIDECAR_IMAGE}")
    )
    return pods.SIDECAR_IMAGE


@pytest.fixture(scope="module", autouse=True)
def _user_namespaces(guest: Guest) -> None:
    """Prepare podman for `hostUsers: false`; a kubelet chooses user ids by itself."""
    for file in ("/etc/subuid", "/etc/subgid"):
        guest.run("sh", "-c", f"echo containers:1000000:1000000 >>{file}")


@pytest.fixture
def play(guest: Guest, github: Simulator, tmp_path: Path) -> Iterator[Play]:
    """Start a pod with a credential that GitHub accepts and that the probe looks for."""
    with ExitStack() as exits:

        def start(
            folder: str,
            *changes: Callable[[Object], None],
            given: Object | None = None,
            **settings: str,
        ) -> Pod:
            token = f"ghp_{secrets.token_hex(18)}"
            github.add_credential(token)
            key, needles = of_app(github)
            probe.write(str(tmp_path / "needles"), {"PAT": token, **needles})
            for path in (Path(probe.__file__), tmp_path / "needles"):
                guest.write(f"{pods.PROBE}/{path.name}", path.read_text())
            found = pods.configuration(folder, **settings)
            if "app-key" in str(found["data"]):
                found["data"]["GITHUB_APP_ID"] = str(APP_ID)
            pod = copy.deepcopy(kubernetes.pod(folder))
            for change in changes:
                change(pod)
            both = given or pods.secret(token=token, app_key=key)
            return exits.enter_context(Pod(guest, folder, pod, IMAGE, found, both))

        yield start


@pytest.mark.parametrize("folder", LIVES)
def test_life(folder: str, play: Play, github: Simulator, sidecar_image: str) -> None:
    """It gets ready, its job finds no credential, it ends with 0, and is off the list."""
    assert sidecar_image
    # sysbox is not here; test_no_sysbox is about that.
    settings = {"RUNNER_ENGINE": "none"} if folder == SYSBOX else {}
    pod = play(folder, **settings)
    github.wait_for("listening")
    ready = kubernetes.container(kubernetes.pod(folder))["readinessProbe"]["exec"]["command"]
    assert "healthy" in pod.execute(*ready)
    job = github.queue_job(f"{LOOK}; sudo -n {LOOK} || true; id; grep NoNewPrivs /proc/self/status")
    assert pod.wait() == 0, pod.logs()
    done = github.job(job["id"])
    assert done["result"] == "succeeded", done["log"]
    looks = results(done["log"])
    assert [look.found for look in looks] == [set()] * len(looks)
    assert [look.uid for look in looks] == ([1001] if folder == RESTRICTED else [1001, 0])
    assert pod.message() == ExitCode.DONE.meaning
    assert github.runners() == []


def test_sudo(play: Play, github: Simulator) -> None:
    """A job can install packages: chown and chmod work, without a warning."""
    pod = play("base")
    change = "touch mine; sudo -n chown games:mail mine && sudo -n chmod 2755 mine"
    job = github.queue_job(f"{change} && stat --format 'mode %a' mine")
    assert pod.wait() == 0, pod.logs()
    log = github.job(job["id"])["log"]
    assert "mode 2755" in log
    assert "audit" not in log


@pytest.mark.parametrize(
    "folder",
    [
        *("base", RESTRICTED, DEPLOYMENT),
        *(pytest.param(name, marks=pytest.mark.exhaustive) for name in (USER_NAMESPACES, DOCKER)),
    ],
)
def test_stop_when_idle(folder: str, play: Play, github: Simulator, sidecar_image: str) -> None:
    """An idle runner leaves at once, however long the drain is, and is off the list."""
    assert sidecar_image
    pod = play(folder)
    github.wait_for("listening")
    assert pod.stop() < QUICK < pod.grace
    assert pod.exit_code("runner") == 143, pod.logs()
    assert pod.message() == ExitCode.TERMINATED.meaning
    assert github.runners() == []


@pytest.mark.parametrize("folder", ["base", RESTRICTED, DEPLOYMENT])
def test_stop_in_a_job(folder: str, play: Play, github: Simulator) -> None:
    """While the pod is being deleted its job goes on, and is reported before the pod is killed."""
    pod = play(folder)
    job = github.queue_job("echo begun; sleep 2; echo done")
    github.wait_for("job_output")
    assert pod.stop() < QUICK < pod.grace
    assert pod.exit_code("runner") == 0, pod.logs()
    assert github.job(job["id"])["result"] == "succeeded"
    assert "done" in github.job(job["id"])["log"]
    assert github.runners() == []


def test_drain_is_over(play: Play, github: Simulator) -> None:
    """A job that still runs when the drain is over is cancelled and reported."""
    pod = play("base", RUNNER_DRAIN_TIMEOUT="1", RUNNER_CANCEL_TIMEOUT="1")
    job = github.queue_job("echo begun; sleep 600")
    github.wait_for("job_output")
    assert pod.stop() < QUICK * 2
    assert pod.exit_code("runner") == 143, pod.logs()
    assert github.job(job["id"])["status"] == "completed"
    assert github.runners() == []


def test_deployment(play: Play, github: Simulator) -> None:
    """The container is started for each job; the credential is kept, and no job can read it."""
    pod = play(DEPLOYMENT)
    jobs = []
    for _ in range(2):
        job = github.queue_job(f"{LOOK}; sudo -n true || echo no sudo")
        github.wait_for("job_completed", timeout=60, job_id=job["id"])
        jobs.append(github.job(job["id"]))
    assert jobs[0]["runner"] != jobs[1]["runner"]
    for job in jobs:
        assert [look.found for look in results(job["log"])] == [set()]
        assert "no sudo" in job["log"]
    github.wait_for("listening", after=github.last_event() - 1)
    pod.stop()
    assert github.runners() == []


def test_docker_beside_it(play: Play, github: Simulator, sidecar_image: str) -> None:
    """A job reaches the engine, which has the work folder and the runner's Node.js."""
    assert sidecar_image
    pod = play(DOCKER)
    ask = "curl --silent --fail --unix-socket ${DOCKER_HOST#unix://} http://engine/version"
    job = github.queue_job(
        # A kubelet starts the runner once the engine answers; podman starts both at once.
        f"for _ in $(seq 100); do {ask} && break || sleep 0.2; done; id; ls -ln /run/docker;"
        f"{ask} && echo here >file; for _ in $(seq 100); do [ -e seen ] && break || sleep 0.1; done"
    )
    folder = "/home/runner/_work/shop/shop"
    until(lambda: "here" in pod.execute("cat", f"{folder}/file", check=False, container="docker"))
    pod.execute("touch", f"{folder}/seen", container="docker")
    node = "/home/runner/externals/node24/bin/node"
    assert pod.execute(node, container="docker").startswith("v24")
    assert pod.wait() == 0, pod.logs()
    log = github.job(job["id"])["log"]
    assert github.job(job["id"])["result"] == "succeeded", log
    assert "ApiVersion" in log


@pytest.mark.parametrize("given", [[], [pods.secret(tokn="x")]], ids=["no Secret", "another key"])
def test_no_secret(given: list[Object], guest: Guest, github: Simulator) -> None:
    """Without the key in the Secret the pod ends at once, and says how to make the Secret."""
    objects = [pods.configuration("base"), *given]
    with Pod(guest, "base", kubernetes.pod("base"), IMAGE, *objects) as pod:
        assert pod.exit_code("credential") == ExitCode.CONFIG
        for told in (pod.message("credential"), pod.logs("credential")):
            assert "kubectl create secret generic gh-runner --from-file=token=FILE" in told
        assert len(pod.message("credential").splitlines()) == 1
    assert github.runners() == []
    assert github.requests() == []


def test_wrong_token(play: Play, github: Simulator) -> None:
    """If GitHub refuses the token, the message says so with a hint, and shows no token."""
    wrong = f"ghp_{secrets.token_hex(18)}"
    pod = play("base", given=pods.secret(token=wrong))
    assert pod.wait() == ExitCode.REFUSED
    assert "401" in pod.message()
    assert pod.message().count("\n") == 0
    assert wrong not in pod.message() + pod.logs()
    assert github.runners() == []


def test_no_sysbox(play: Play, github: Simulator) -> None:
    """Without sysbox the pod says that its engine did not start, and takes no job."""
    pod = play(SYSBOX)
    assert pod.wait() == ExitCode.ENGINE, pod.logs()
    assert "docker" in pod.message()
    assert github.runners() == []


def test_service_called_github(play: Play, github: Simulator) -> None:
    """The variables of a Service called github, if they get into the pod, are no settings."""

    def let_in(pod: Object) -> None:
        env = [{"name": name, "value": value} for name, value in SERVICE.items()]
        kubernetes.container(pod).setdefault("env", []).extend(env)

    pod = play("base", let_in)
    job = github.queue_job()
    assert pod.wait() == 0, pod.logs()
    assert github.job(job["id"])["result"] == "succeeded"
