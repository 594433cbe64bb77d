"""The values for GitHub's scale sets: the chart's names, and the pods that it makes."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import yaml

from tests.deploy import kubernetes
from tests.deploy.kubernetes import FOLDER, Object
from tests.deploy.pod_security import violations
from tests.deploy.test_kubernetes import LONGEST_JOB, VERSIONS, validated

FACTS = kubernetes.data("scale-set-chart")
PLAIN = "values.yaml"
MODES = {"dind": "values-dind.yaml", "kubernetes": "values-kubernetes.yaml"}
FILES = [PLAIN, *MODES.values()]


def merged(below: Object, above: Object) -> Object:
    """Merge values as helm does: maps are merged, anything else is replaced."""
    return below | {
        name: merged(below[name], value)
        if isinstance(value, dict) and isinstance(below.get(name), dict)
        else value
        for name, value in above.items()
    }


def values(name: str) -> Object:
    """Return values.yaml merged with the file of one mode."""
    files = [PLAIN] if name == PLAIN else [PLAIN, name]
    found: Object = {}
    for file in files:
        found = merged(found, yaml.safe_load((FOLDER / "arc" / file).read_text()))
    return found


def pod(name: str) -> Object:
    """Return the pod of a scale set, as far as the values describe it."""
    return kubernetes.pod_of_template(values(name)["template"])


def environment(name: str) -> dict[str, str]:
    """Return the runner's environment in the values."""
    return {entry["name"]: entry["value"] for entry in kubernetes.container(pod(name))["env"]}


@pytest.mark.parametrize("name", FILES)
def test_names(name: str) -> None:
    """The chart has each value, and the controller finds its container."""
    found = values(name)
    assert found.keys() <= set(FACTS["values"])
    assert found.get("containerMode", {}).keys() <= set(FACTS["containerMode"])
    assert found["template"].keys() <= set(FACTS["template"])
    assert [one["name"] for one in pod(name)["spec"]["containers"]] == [FACTS["runner"]]
    assert found["minRunners"] <= found["maxRunners"]


@pytest.mark.parametrize(("mode", "name"), MODES.items())
def test_modes(mode: str, name: str) -> None:
    """The chart has each mode."""
    assert values(name)["containerMode"]["type"] == mode
    assert mode in FACTS["modes"]


@pytest.mark.parametrize("version", VERSIONS)
def test_valid(version: str, tmp_path: Path) -> None:
    """Kubernetes knows each field of the pods."""
    done = validated(tmp_path, version, *map(pod, FILES))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", FILES)
def test_pod(name: str) -> None:
    """The pod is that of the Job, except for what the controller decides."""
    ours, base = pod(name), kubernetes.pod("base")
    assert violations(ours, "baseline") == []
    assert ours["metadata"]["annotations"] == base["metadata"]["annotations"]
    for field in ("restartPolicy", "terminationGracePeriodSeconds", "enableServiceLinks"):
        assert ours["spec"][field] == base["spec"][field]
    runner, usual = kubernetes.container(ours), kubernetes.container(base)
    capabilities = runner["securityContext"]["capabilities"]
    assert capabilities == usual["securityContext"]["capabilities"]
    assert runner["readinessProbe"] == usual["readinessProbe"]
    assert int(environment(name)["RUNNER_JOB_TIMEOUT"]) == LONGEST_JOB
    drain = int(environment(name)["RUNNER_DRAIN_TIMEOUT"])
    assert ours["spec"]["terminationGracePeriodSeconds"] == drain + 10


@pytest.mark.parametrize("name", FILES)
def test_who_is_pid_1(name: str) -> None:
    """PID 1 is our program, and not GitHub's script, which is the chart's default."""
    assert kubernetes.container(pod(name))["command"] == ["/usr/local/bin/gh-runner"]


@pytest.mark.parametrize("name", FILES)
def test_nothing_but_the_configuration(name: str) -> None:
    """The values set no credential, and nothing that the JIT configuration has already."""
    given = environment(name)
    assert not [variable for variable in given if variable.startswith("GITHUB_")]
    assert not given.keys() & {"RUNNER_LABELS", "RUNNER_NAME", "RUNNER_GROUP", "RUNNER_TOKEN"}
    assert not given.keys() & set(FACTS["environment"])  # the controller's


def test_state_off_the_shared_folder() -> None:
    """In dind mode the runner's state is outside of the volume that the chart mounts twice."""
    covered = Path(FACTS["dind"]["mounts"]["dind-sock"])
    assert covered == Path("/var/run")  # a link to /run in the image
    state = Path(environment(MODES["dind"])["RUNNER_STATE_DIR"])
    assert not state.is_relative_to(covered)
    assert not state.is_relative_to("/run")
    assert environment(MODES["dind"])["RUNNER_ENGINE"] == "none"
    context = pod(MODES["dind"])["spec"]["securityContext"]
    assert context["supplementalGroups"] == [FACTS["dind"]["group"]]


def test_token_only_for_the_hooks() -> None:
    """Only the mode whose hooks make pods mounts the service account's token."""
    mounts = {name: pod(name)["spec"]["automountServiceAccountToken"] for name in FILES}
    assert [name for name, mounted in mounts.items() if mounted] == [MODES["kubernetes"]]


def test_hooks_where_the_chart_looks() -> None:
    """The image with the hooks has them at the path that the chart sets."""
    lines = (FOLDER / "arc/hooks.Dockerfile").read_text()
    assert FACTS["kubernetes"]["hooks"] in lines


def test_merging_is_helms() -> None:
    """A list in the later file replaces the earlier list; a map is merged."""
    below = {"template": {"spec": {"a": 1, "list": [1, 2]}, "x": 1}}
    before = copy.deepcopy(below)
    above = {"template": {"spec": {"list": [3]}}}
    assert merged(below, above) == {"template": {"spec": {"a": 1, "list": [3]}, "x": 1}}
    assert below == before
