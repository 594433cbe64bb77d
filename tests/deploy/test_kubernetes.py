"""The manifests of deploy/kubernetes: valid, complete, and consistent with the runner."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from entrypoint.errors import ExitCode
from entrypoint.settings.schema import variables
from entrypoint.vault import SECRETS
from tests.deploy import kubernetes
from tests.deploy.kubernetes import FOLDER, KUSTOMIZATIONS, ROOT, Object

VERSIONS = ("1.30", "1.34", "1.37")
KEDA = [name for name in KUSTOMIZATIONS if "keda" in name]
STOP_SECONDS = 10  # a stop takes so long beside the drain
LONGEST_JOB = 6 * 3600  # seconds, as on GitHub's own machines

# Variables beside the settings that the runner's environment may have.
OTHER_VARIABLES = {
    "DOCKER_HOST",
    "NVIDIA_DRIVER_CAPABILITIES",
    "RUNNER_WAIT_FOR_DOCKER_IN_SECONDS",
}


def validated(directory: Path, version: str, *files: Object) -> subprocess.CompletedProcess[str]:
    """Run kubernetes-validate on objects, with its strictest options."""
    paths = []
    for number, content in enumerate(files):
        kind, name = content["kind"], content["metadata"]["name"]
        paths.append(directory / f"{number:02}-{kind}-{name}.yaml")
        paths[-1].write_text(yaml.safe_dump(content))
    command = [sys.executable, "-m", "kubernetes_validate", "--strict", "-k", version]
    return subprocess.run([*command, *paths], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("version", VERSIONS)
def test_valid(version: str, tmp_path: Path) -> None:
    """Kubernetes knows each object, field and value; the objects that KEDA makes are Jobs."""
    known, ours = [], set()
    for folder in KUSTOMIZATIONS:
        made = kubernetes.objects(folder)
        ours |= {o["kind"] for o in made if ".keda.sh" in f".{o['apiVersion']}"}
        known += [o for o in made if "keda.sh" not in o["apiVersion"]]
        known += [kubernetes.job(folder) or kubernetes.find(folder, "Deployment")]
        known += [kubernetes.pod(folder)]
    assert ours == {"ScaledJob", "TriggerAuthentication"}
    done = validated(tmp_path, version, *known)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("field", ["terminationGracePeriod", "hostUser", "restartPolicie"])
def test_misspelt(field: str, tmp_path: Path) -> None:
    """A pod with a misspelt field is not valid."""
    pod = kubernetes.pod("base")
    wrong = {**pod, "spec": {**pod["spec"], field: True}}
    done = validated(tmp_path, VERSIONS[-1], wrong)
    assert done.returncode != 0
    assert field in done.stdout + done.stderr


@pytest.mark.parametrize("folder", KUSTOMIZATIONS)
def test_one_namespace(folder: str) -> None:
    """Every object is in the namespace that the kustomization makes."""
    name = kubernetes.find(folder, "Namespace")["metadata"]["name"]
    others = [o for o in kubernetes.objects(folder) if o["kind"] != "Namespace"]
    assert {o["metadata"].get("namespace") for o in others} == {name}


@pytest.mark.parametrize("folder", KUSTOMIZATIONS)
def test_settings_exist(folder: str) -> None:
    """Each variable is a setting, a secret's file, or one of OTHER_VARIABLES."""
    known = {*variables()}
    known |= {f"{name}_FILE" for name in SECRETS} | OTHER_VARIABLES
    assert kubernetes.settings(folder).keys() <= known


@pytest.mark.parametrize("folder", KUSTOMIZATIONS)
def test_time_to_stop(folder: str) -> None:
    """The kubelet kills ten seconds after the longest drain, and not before."""
    drain = int(kubernetes.settings(folder)["RUNNER_DRAIN_TIMEOUT"])
    grace = kubernetes.pod(folder)["spec"]["terminationGracePeriodSeconds"]
    assert grace == drain + STOP_SECONDS


JOBS = [name for name in KUSTOMIZATIONS if name != "overlays/deployment"]


@pytest.mark.parametrize("folder", JOBS)
def test_time_to_work(folder: str) -> None:
    """A runner without a job leaves by itself; the Job's deadline allows a job of six hours."""
    settings, job = kubernetes.settings(folder), kubernetes.job(folder)
    assert job is not None
    idle, drain = (int(settings[f"RUNNER_{name}_TIMEOUT"]) for name in ("IDLE", "DRAIN"))
    assert idle > 0
    longest = int(settings["RUNNER_JOB_TIMEOUT"])
    assert longest == LONGEST_JOB
    assert job["spec"]["activeDeadlineSeconds"] >= idle + longest + drain


@pytest.mark.parametrize("folder", JOBS)
def test_tries(folder: str) -> None:
    """After a failure that may pass a new pod is made; after one for an operator, none is."""
    job = kubernetes.job(folder)
    assert job is not None
    spec = job["spec"]
    disruption, hopeless = spec["podFailurePolicy"]["rules"]
    assert disruption["action"] == "Ignore"
    assert disruption["onPodConditions"] == [{"type": "DisruptionTarget", "status": "True"}]
    assert hopeless["action"] == "FailJob"
    wanted = {ExitCode.VERSION, ExitCode.REFUSED, ExitCode.CONFIG}
    assert hopeless["onExitCodes"] == {"operator": "In", "values": sorted(map(int, wanted))}
    assert spec["template"]["spec"]["restartPolicy"] == "Never"
    assert spec["backoffLimit"] > 0
    assert spec["podReplacementPolicy"] == "Failed"
    assert spec["ttlSecondsAfterFinished"] > 0


@pytest.mark.parametrize("folder", KUSTOMIZATIONS)
def test_not_moved(folder: str) -> None:
    """No autoscaler removes the node of a running job to save money."""
    annotations = kubernetes.pod(folder)["metadata"]["annotations"]
    assert annotations["cluster-autoscaler.kubernetes.io/safe-to-evict"] == "false"
    assert annotations["karpenter.sh/do-not-disrupt"] == "true"


@pytest.mark.parametrize("folder", KUSTOMIZATIONS)
def test_last_words(folder: str) -> None:
    """If no message could be written, the pod's message is the end of the log."""
    pod = kubernetes.pod(folder)
    ours = [one for one in kubernetes.containers(pod) if one["image"].endswith(":ubuntu")]
    wanted = [one for one in ours if one["name"] in {"credential", "runner"}]
    assert {one["terminationMessagePolicy"] for one in wanted} == {"FallbackToLogsOnError"}


@pytest.mark.parametrize("folder", KUSTOMIZATIONS)
def test_resources(folder: str) -> None:
    """The runner's memory is reserved for it, and its processor time has no limit."""
    resources = kubernetes.container(kubernetes.pod(folder))["resources"]
    assert resources["limits"]["memory"] == resources["requests"]["memory"]
    assert "cpu" not in resources["limits"]
    assert "ephemeral-storage" in resources["requests"]


def test_restricted() -> None:
    """Without root, the pod has the image's user, no sudo and no capability."""
    pod = kubernetes.pod("overlays/restricted")
    assert pod["spec"]["securityContext"]["runAsUser"] == 1001
    runner = kubernetes.container(pod)
    assert runner["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert kubernetes.settings("overlays/restricted")["RUNNER_SUDO"] == "0"
    added = (ROOT / "image/add-runner-user").read_text()
    assert re.search(r"--uid 1001\b", added)


def test_docker_paths() -> None:
    """Folders that the engine mounts into a job's containers have one path on both sides."""
    pod = kubernetes.pod("overlays/docker")
    runner, engine, copy = (
        {m["name"]: m["mountPath"] for m in kubernetes.container(pod, name)["volumeMounts"]}
        for name in ("runner", "docker", "externals")
    )
    assert engine["work"] == runner["work"] == "/home/runner/_work"
    assert engine["externals"] == "/home/runner/externals"
    assert copy["externals"] == "/externals"
    assert engine["docker-socket"] == "/var/run"
    (group,) = pod["spec"]["securityContext"]["supplementalGroups"]
    assert f"--group={group}" in kubernetes.container(pod, "docker")["args"]
    host = kubernetes.settings("overlays/docker")["DOCKER_HOST"]
    assert host == f"unix://{runner['docker-socket']}/docker.sock"
    assert kubernetes.container(pod, "docker")["restartPolicy"] == "Always"  # a sidecar


def test_sysbox_is_insisted_on() -> None:
    """Where sysbox does not run the pod, it ends with 69, and takes no job that needs Docker."""
    assert kubernetes.settings("overlays/sysbox")["RUNNER_ENGINE"] == "docker"
    assert kubernetes.pod("overlays/sysbox")["spec"]["runtimeClassName"] == "sysbox-runc"


@pytest.mark.parametrize("folder", KEDA)
def test_keda_names(folder: str) -> None:
    """KEDA knows each field of its objects, and each parameter of its scaler."""
    facts = kubernetes.data("keda")
    scaled, trusted = (kubernetes.find(folder, k) for k in ("ScaledJob", "TriggerAuthentication"))
    spec = scaled["spec"]
    assert spec.keys() <= set(facts["ScaledJob"]["spec"])
    for name, value in spec["rollout"].items():
        assert value in facts["ScaledJob"]["rollout"][name]
    (trigger,) = spec["triggers"]
    assert trigger.keys() <= set(facts["ScaledJob"]["trigger"])
    assert trigger["type"] == "github-runner"
    scaler = facts["github-runner"]
    given = {name.removesuffix("FromEnv") for name in trigger["metadata"]}
    assert given <= scaler["metadata"].keys()
    assert {name for name, kind in scaler["metadata"].items() if kind == "required"} <= given
    assert trigger["metadata"]["runnerScope"] in scaler["runnerScope"]
    assert all(isinstance(value, str) for value in trigger["metadata"].values())
    assert trusted["spec"].keys() <= set(facts["TriggerAuthentication"]["spec"])
    assert trigger["authenticationRef"]["name"] == trusted["metadata"]["name"]
    for reference in trusted["spec"]["secretTargetRef"]:
        assert set(reference) == set(facts["TriggerAuthentication"]["secretTargetRef"])
        assert reference["parameter"] in scaler["authentication"]


@pytest.mark.parametrize("folder", KEDA)
def test_keda_counts_what_the_runner_takes(folder: str) -> None:
    """KEDA counts the jobs that its runners can do: same owner, same labels."""
    scaled, settings = kubernetes.find(folder, "ScaledJob"), kubernetes.settings(folder)
    spec, facts = scaled["spec"], kubernetes.data("keda")["github-runner"]
    metadata = spec["triggers"][0]["metadata"]
    assert spec["envSourceContainerName"] == kubernetes.RUNNER
    assert metadata["ownerFromEnv"] == "GITHUB_OWNER"
    assert metadata["reposFromEnv"] == "GITHUB_REPOSITORY"
    assert metadata["labelsFromEnv"] == "RUNNER_LABELS"
    no_defaults = settings.get("RUNNER_NO_DEFAULT_LABELS", "0") == "1"
    assert metadata["noDefaultLabels"] == ("true" if no_defaults else "false")
    architecture = kubernetes.pod(folder)["spec"].get("nodeSelector", {}).get("kubernetes.io/arch")
    counted = set(settings["RUNNER_LABELS"].lower().split(","))
    counted |= set() if no_defaults else set(facts["defaultLabels"])
    assert {"self-hosted", "linux", "x64" if architecture is None else "arm64"} <= counted
    assert ("x64" in counted) is (architecture is None)


@pytest.mark.parametrize("folder", KEDA)
def test_keda_leaves_jobs_alone(folder: str) -> None:
    """A changed ScaledJob ends no running job, and old Jobs are deleted."""
    spec = kubernetes.find(folder, "ScaledJob")["spec"]
    assert spec["rollout"]["strategy"] == "gradual"
    assert "scalingStrategy" not in spec
    assert spec["successfulJobsHistoryLimit"] + spec["failedJobsHistoryLimit"] < 10
    assert spec["triggers"][0]["metadata"]["enableEtags"] == "false"
    assert int(kubernetes.settings(folder)["RUNNER_IDLE_TIMEOUT"]) <= 600


@pytest.mark.parametrize("folder", KEDA)
def test_keda_shares_the_app(folder: str) -> None:
    """KEDA and the runner take their key from one Secret."""
    reference = kubernetes.find(folder, "TriggerAuthentication")["spec"]["secretTargetRef"][0]
    spec = kubernetes.pod(folder)["spec"]
    (secret,) = (v["secret"]["secretName"] for v in spec["volumes"] if "secret" in v)
    assert reference == {"parameter": "appKey", "name": secret, "key": "app-key"}
    settings = kubernetes.settings(folder)
    assert settings["GITHUB_APP_PRIVATE_KEY_FILE"] == "/credential/app-key"
    assert settings["GITHUB_PERSONAL_TOKEN_FILE"] == ""


def test_deployment_starts_again() -> None:
    """A restarted container still has its credential, because that is not deleted."""
    pod = kubernetes.pod("overlays/deployment")
    assert pod["spec"]["restartPolicy"] == "Always"
    assert pod["spec"].get("initContainers", []) == []
    mounts = kubernetes.container(pod)["volumeMounts"]
    assert mounts == [{"name": "secret", "mountPath": "/credential", "readOnly": True}]
    assert kubernetes.settings("overlays/deployment")["RUNNER_IDLE_TIMEOUT"] == "0"


def test_each_overlay_is_a_component() -> None:
    """Each overlay is also a component, so that overlays can be combined."""
    components = {path.parent.name for path in FOLDER.glob("components/*/kustomization.yaml")}
    alone = {Path(name).name for name in KUSTOMIZATIONS} - {"base", "keda-arm64"}
    assert alone == components - {"app"}


def test_documented_overlay(tmp_path: Path) -> None:
    """The overlay in the documentation can be built, and has the values that it sets."""
    text = (ROOT / "docs/kubernetes.md").read_text()
    found = re.search(r"```yaml\n(# kustomization\.yaml\n.*?)```", text, re.DOTALL)
    assert found is not None
    here = os.path.relpath(ROOT, tmp_path.resolve())
    remote = r"https://github\.com/[^/]+/[^/]+//(\S+)\?ref=v1"
    (tmp_path / "kustomization.yaml").write_text(re.sub(remote, rf"{here}/\1", found[1]))
    settings = kubernetes.settings(tmp_path)
    assert (settings["GITHUB_OWNER"], settings["GITHUB_REPOSITORY"]) == ("acme", "shop")
    assert settings["RUNNER_CREDENTIAL"] == "until-job"
    images = {one["image"] for one in kubernetes.containers(kubernetes.pod(tmp_path))}
    assert images == {"ghcr.io/acme/gh-runner:ubuntu"}


def test_documented_components() -> None:
    """The documentation has a row for each component, and for each frame of a pod."""
    text = (ROOT / "docs/kubernetes.md").read_text()
    names = {path.parent.name for path in FOLDER.glob("components/*/kustomization.yaml")}
    frames = {"deployment", "keda"}
    assert not [name for name in names - frames if f"\n| `{name}` |" not in text]
    assert not [name for name in frames if f"`overlays/{name}`" not in text]
    assert not [version for version in VERSIONS if version not in text]
