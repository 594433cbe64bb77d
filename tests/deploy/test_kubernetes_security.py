"""The pods of deploy/kubernetes, judged by the table of the Pod Security Standards."""

from __future__ import annotations

import copy
import ipaddress
from collections.abc import Callable
from typing import Any

import pytest

from tests.deploy import kubernetes
from tests.deploy.kubernetes import KUSTOMIZATIONS, Object
from tests.deploy.pod_security import LEVELS, violations

ENFORCE = "pod-security.kubernetes.io/enforce"
PRIVILEGED = {"overlays/docker"}
RESTRICTED = {"overlays/restricted"}

# Addresses that GitHub publishes as its own, and addresses inside clouds and clusters.
GITHUB = ("140.82.112.3", "185.199.108.133", "20.201.28.151", "2606:50c0:8000::153")
GITHUB_BY_NAT64 = "64:ff9b::8c52:7003"
METADATA = (
    *("169.254.169.254", "169.254.170.2", "169.254.170.23", "168.63.129.16", "100.100.100.200"),
    *("fd00:ec2::254", "fd20:ce::254", "64:ff9b::a9fe:a9fe", "::ffff:169.254.169.254"),
)
INSIDE = ("10.96.0.1", "172.17.0.1", "192.168.1.1", "fd12:3456::1", "fe80::1")


def level(folder: str) -> str:
    """Return the standard that the namespace of a kustomization enforces."""
    enforced: str = kubernetes.find(folder, "Namespace")["metadata"]["labels"][ENFORCE]
    return enforced


@pytest.mark.parametrize("folder", KUSTOMIZATIONS)
def test_admitted(folder: str) -> None:
    """Each pod is allowed by the standard that its namespace enforces."""
    assert violations(kubernetes.pod(folder), level(folder)) == []


@pytest.mark.parametrize("folder", KUSTOMIZATIONS)
def test_strictest(folder: str) -> None:
    """No namespace allows more than its pod needs: baseline, wherever that is possible."""
    expected = "privileged" if folder in PRIVILEGED else "baseline"
    assert level(folder) == ("restricted" if folder in RESTRICTED else expected)
    stricter = LEVELS[LEVELS.index(level(folder)) + 1 :]
    assert all(violations(kubernetes.pod(folder), wanted) for wanted in stricter)


def set_runner(**fields: Any) -> Callable[[Object], None]:
    """Return a change of the runner's security context."""

    def change(pod: Object) -> None:
        kubernetes.container(pod)["securityContext"] |= fields

    return change


def set_pod(**fields: Any) -> Callable[[Object], None]:
    """Return a change of the pod itself."""

    def change(pod: Object) -> None:
        pod["spec"] |= fields

    return change


def set_context(**fields: Any) -> Callable[[Object], None]:
    """Return a change of the pod's security context."""

    def change(pod: Object) -> None:
        pod["spec"]["securityContext"] |= fields

    return change


def set_probe(pod: Object) -> None:
    """Let the kubelet probe another machine than the pod."""
    kubernetes.container(pod)["livenessProbe"] = {"httpGet": {"host": "10.0.0.1", "port": 80}}


FORBIDDEN = {
    "baseline": {
        "host network": set_pod(hostNetwork=True),
        "host's processes": set_pod(hostPID=True),
        "privileged": set_runner(privileged=True),
        "SYS_ADMIN": set_runner(capabilities={"add": ["SYS_ADMIN"]}),
        "SYS_PTRACE": set_runner(capabilities={"add": ["SYS_PTRACE"]}),
        "host path": set_pod(volumes=[{"name": "x", "hostPath": {"path": "/"}}]),
        "host's probe": set_probe,
        "AppArmor off": set_runner(appArmorProfile={"type": "Unconfined"}),
        "seccomp off": set_context(seccompProfile={"type": "Unconfined"}),
        "SELinux": set_context(seLinuxOptions={"user": "root"}),
        "/proc": set_runner(procMount="Unmasked"),
        "sysctl": set_context(sysctls=[{"name": "kernel.core_pattern", "value": "|/x"}]),
    },
    "restricted": {
        "root by sudo": set_runner(allowPrivilegeEscalation=True),
        "escalation not said": set_runner(allowPrivilegeEscalation=None),
        "root": set_runner(runAsUser=0),
        "perhaps root": set_context(runAsNonRoot=None),
        "no seccomp": set_context(seccompProfile=None),
        "capabilities kept": set_runner(capabilities={"drop": ["NET_RAW"]}),
        "a capability": set_runner(capabilities={"drop": ["ALL"], "add": ["CHOWN"]}),
        "NFS": set_pod(volumes=[{"name": "x", "nfs": {"server": "nas", "path": "/"}}]),
    },
}


@pytest.mark.parametrize(("wanted", "name"), [(w, n) for w in FORBIDDEN for n in FORBIDDEN[w]])
def test_table_bites(wanted: str, name: str) -> None:
    """Each standard finds the violation that it exists for."""
    pod = copy.deepcopy(kubernetes.pod("overlays/restricted"))
    assert violations(pod, "restricted") == []
    FORBIDDEN[wanted][name](pod)
    assert violations(pod, wanted)


@pytest.mark.parametrize("folder", KUSTOMIZATIONS)
def test_no_right_in_the_cluster(folder: str) -> None:
    """A job finds no token for Kubernetes, and no Service's address in its environment."""
    spec = kubernetes.pod(folder)["spec"]
    account = kubernetes.find(folder, "ServiceAccount")
    assert spec["serviceAccountName"] == account["metadata"]["name"]
    assert spec["automountServiceAccountToken"] is False
    assert account["automountServiceAccountToken"] is False
    assert spec["enableServiceLinks"] is False
    assert not spec.get("shareProcessNamespace")


@pytest.mark.parametrize("folder", KUSTOMIZATIONS)
def test_secret_out_of_reach(folder: str) -> None:
    """No job can read the Secret: it is mounted elsewhere, or jobs cannot become root."""
    pod = kubernetes.pod(folder)
    kinds = {volume["name"]: volume for volume in pod["spec"]["volumes"]}
    env = [entry for one in kubernetes.containers(pod) for entry in one.get("env", [])]
    assert not [entry for entry in env if "secretKeyRef" in entry.get("valueFrom", {})]
    runner = kubernetes.container(pod)
    mounted = [kinds[mount["name"]] for mount in runner["volumeMounts"]]
    settings = kubernetes.settings(folder)
    if any("secret" in volume for volume in mounted):
        assert settings["RUNNER_SUDO"] == "0"
        assert kinds["secret"]["secret"]["defaultMode"] == 0o400
        assert "fsGroup" not in pod["spec"]["securityContext"]  # that group could read it
        assert runner["securityContext"]["allowPrivilegeEscalation"] is False
    else:
        assert settings["RUNNER_CREDENTIAL"] == "until-job"
        assert kinds["credential"]["emptyDir"]["medium"] == "Memory"


def may_reach(policy: Object, address: str, port: int) -> bool:
    """Return whether a NetworkPolicy lets a pod open a TCP connection to an address."""
    target = ipaddress.ip_address(address)

    def within(cidr: str) -> bool:
        network = ipaddress.ip_network(cidr)
        return network.version == target.version and target in network

    for rule in policy["spec"]["egress"]:
        if not any(p["protocol"] == "TCP" and p["port"] == port for p in rule["ports"]):
            continue
        blocks = [peer["ipBlock"] for peer in rule.get("to", [])]
        if not blocks or any(
            within(block["cidr"]) and not any(map(within, block.get("except", [])))
            for block in blocks
        ):
            return True
    return False


def test_network() -> None:
    """A pod reaches GitHub, but no cloud metadata and no cluster; nothing reaches the pod."""
    policy = kubernetes.find("base", "NetworkPolicy")
    assert all(may_reach(policy, address, 443) for address in (*GITHUB, GITHUB_BY_NAT64))
    assert not [found for found in (*METADATA, *INSIDE) if may_reach(policy, found, 80)]
    assert not [found for found in (*METADATA, *INSIDE) if may_reach(policy, found, 443)]
    assert not may_reach(policy, GITHUB[0], 25)
    assert policy["spec"]["policyTypes"] == ["Ingress", "Egress"]
    assert policy["spec"]["ingress"] == []


@pytest.mark.parametrize("folder", KUSTOMIZATIONS)
def test_network_policy_meets_the_pod(folder: str) -> None:
    """The policy is in the pod's namespace, and selects the pod's labels."""
    policy, pod = kubernetes.find(folder, "NetworkPolicy"), kubernetes.pod(folder)
    assert policy["metadata"]["namespace"] == pod["metadata"]["namespace"]
    labels = policy["spec"]["podSelector"]["matchLabels"]
    assert labels.items() <= pod["metadata"]["labels"].items()
