"""Pods of deploy/kubernetes, run by `podman kube play` in the guest.

Podman is not Kubernetes. These differences are made up for, and nothing else is changed:

- podman gives each container its own `emptyDir` in memory: volumes on disk replace it;
- podman's volumes are root's with mode 0755: they get Kubernetes' mode, 0777;
- podman ignores `fsGroup`, and a Secret's owner in a user namespace: all may read the Secret;
- podman knows no sidecars (init containers with `restartPolicy`): they become containers;
- where the guest has no memory controller, memory limits are left out; so are GPUs.
"""

from __future__ import annotations

import base64
import copy
import time
from typing import Self

import yaml

from tests.deploy import kubernetes
from tests.deploy.guest import Guest
from tests.deploy.kubernetes import RUNNER, Object

SECRET = "gh-runner"
SIDECAR_IMAGE = "docker.io/library/docker:29-dind"
MESSAGES = "/run/termination-messages"  # in the guest; a file for each container
PROBE = "/run/probe"
QUICK = 10  # seconds, for steps that wait for nothing
OURS = {"GITHUB_OWNER": "acme", "GITHUB_REPOSITORY": "shop"}


def configuration(folder: str, **values: str) -> Object:
    """Return the ConfigMap of a kustomization for acme/shop, with further settings."""
    found = kubernetes.find(folder, "ConfigMap")
    found["data"] |= {**OURS, **values}
    return found


def secret(name: str = SECRET, **data: str) -> Object:
    """Return a Secret."""
    encoded = {
        key.replace("_", "-"): base64.b64encode(v.encode()).decode() for key, v in data.items()
    }
    about = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}}
    return {**about, "data": encoded}


class Pod:
    """A pod in the guest for as long as the context lasts; only one at a time.

    `objects` are the ConfigMaps and Secrets that it uses.
    """

    def __init__(self, guest: Guest, name: str, pod: Object, image: str, *objects: Object) -> None:
        """Prepare the pod; nothing runs yet."""
        self._guest = guest
        self.name = name.replace("/", "-")
        self._objects = objects
        self._pod = copy.deepcopy(pod)
        self._pod["metadata"]["name"] = self.name
        self._adapt(image)
        self._names = [one["name"] for one in kubernetes.containers(self._pod)]

    def _adapt(self, image: str) -> None:
        """Make up for podman's differences, and mount what the tests need."""
        spec = self._pod["spec"]
        limited = "memory" in self._guest.run("cat", "/sys/fs/cgroup/cgroup.controllers").split()
        private = "fsGroup" in spec.get("securityContext", {}) or spec.get("hostUsers") is False
        volumes = spec.setdefault("volumes", [])
        self._volumes = [v["name"] for v in volumes if "emptyDir" in v]
        for volume in volumes:
            if "emptyDir" in volume:
                volume["emptyDir"] = {}
            elif private and "secret" in volume:
                volume["secret"]["defaultMode"] = 0o444
        sidecars = [one for one in spec.get("initContainers", []) if one.get("restartPolicy")]
        for sidecar in sidecars:
            spec["initContainers"].remove(sidecar)
            sidecar.pop("restartPolicy")
            sidecar.pop("startupProbe")
            sidecar["image"] = SIDECAR_IMAGE
        for one in kubernetes.containers(self._pod):
            one["image"] = image
            one["imagePullPolicy"] = "IfNotPresent"
            self._show(one)
        spec["containers"] = [*sidecars, *spec["containers"]]
        for one in kubernetes.containers(self._pod):
            if not limited:
                one.pop("resources", None)
            one.get("resources", {}).get("limits", {}).pop("nvidia.com/gpu", None)
        spec["volumes"].append(_path("probe", PROBE, "Directory"))

    def _show(self, container: Object) -> None:
        """Mount the termination message's file, which a kubelet would, and the probe."""
        name = f"message-{container['name']}"
        self._pod["spec"]["volumes"].append(_path(name, self._message(container["name"]), "File"))
        container.setdefault("volumeMounts", [])
        container["volumeMounts"] += [
            {"name": name, "mountPath": "/dev/termination-log"},
            {"name": "probe", "mountPath": "/probe", "readOnly": True},
        ]

    def _message(self, container: str) -> str:
        return f"{MESSAGES}/{self.name}-{container}"

    def __enter__(self) -> Self:
        """Start it; the pod is made even if its init containers fail."""
        guest = self._guest
        for one in kubernetes.containers(self._pod):
            guest.write(self._message(one["name"]), "", mode=0o666)
        for volume in self._volumes:
            guest.run("podman", "volume", "create", volume)
            place = guest.run("podman", "volume", "inspect", volume, "--format", "{{.Mountpoint}}")
            guest.run("chmod", "0777", place)
        manifest = f"/run/{self.name}.yaml"
        guest.write(manifest, yaml.safe_dump_all([*self._objects, self._pod]))
        done = guest.attempt("podman", "kube", "play", "--network", "podman", manifest)
        self.output = str(done.stdout)
        return self

    def __exit__(self, *_: object) -> None:
        """Print its logs, and remove the pod with all that belongs to it."""
        print(self.output, *map(self.logs, self._names), sep="\n")  # noqa: T201 - pytest shows it
        guest = self._guest
        guest.run("podman", "pod", "rm", "--force", "--time", "0", self.name, check=False)
        names = [one["metadata"]["name"] for one in self._objects]
        for name in names:
            guest.run("podman", "secret", "rm", name, check=False)
        for volume in [*self._volumes, *names]:
            guest.run("podman", "volume", "rm", "--force", volume, check=False)

    def _container(self, name: str) -> str:
        return f"{self.name}-{name}"

    def wait(self, container: str = RUNNER) -> int:
        """Wait until a container has ended, and return its exit code."""
        return int(self._guest.run("podman", "wait", self._container(container)))

    def exit_code(self, container: str) -> int:
        """Return the exit code of a container that has ended."""
        asked = ("inspect", self._container(container), "--format", "{{.State.ExitCode}}")
        return int(self._guest.run("podman", *asked))

    def stop(self) -> float:
        """Stop the runner with the grace period that the pod asks for; return the seconds.

        `podman pod stop` is not used: it removes the network while a job is still running.
        """
        begin = time.monotonic()
        self._guest.run("podman", "stop", self._container(RUNNER), timeout=self.grace + QUICK)
        return time.monotonic() - begin

    def execute(self, *command: str, container: str = RUNNER, check: bool = True) -> str:
        """Run a command in a container, as `kubectl exec` does; AssertionError if it fails."""
        return self._guest.run("podman", "exec", self._container(container), *command, check=check)

    def logs(self, container: str = RUNNER) -> str:
        """Return what a container has printed."""
        return self._guest.run("podman", "logs", self._container(container), check=False)

    def message(self, container: str = RUNNER) -> str:
        """Return the container's message, as `kubectl describe pod` shows it."""
        return self._guest.run("cat", self._message(container))

    @property
    def grace(self) -> int:
        """The seconds after which Kubernetes would kill the pod."""
        seconds: int = self._pod["spec"]["terminationGracePeriodSeconds"]
        return seconds


def _path(name: str, path: str, kind: str) -> Object:
    return {"name": name, "hostPath": {"path": path, "type": kind}}
