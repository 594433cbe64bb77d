"""The user data that adds sysbox to an ECS machine with Ubuntu; ECS and sysbox are fakes."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.action.cloudformation import Stack
from tests.action.test_template import NEEDED, STACKS

PACKAGE = b"a package"
# Each fake records its words. The package's installation sets its runtime, as sysbox's does.
FAKE = """#!/bin/bash
printf '%s\\n' "$(basename "$0") $*" >>"$CALLS"
case "$(basename "$0") $*" in
curl*) while [ "$1" != --output ]; do shift; done; printf 'a package' >"$2" ;;
apt-get*.deb)
    mkdir -p /etc/docker
    echo '{"runtimes": {"sysbox-runc": {"path": "/usr/bin/sysbox-runc"}}, "mtu": 1400}' \\
        >/etc/docker/daemon.json ;;
"systemctl restart docker") cp /etc/docker/daemon.json "$KEPT" ;;
"docker run"*) cp /etc/ecs/ecs.config "$KEPT" ;;
esac
"""
PROGRAMS = ("apt-get", "curl", "docker", "iptables", "sysctl", "systemctl")


def script(sha256: str = hashlib.sha256(PACKAGE).hexdigest(), **parameters: str) -> str:
    """Return the user data of a machine."""
    found = Stack(**NEEDED, **STACKS["ec2"], SysboxSha256=sha256, **parameters)
    text = found.properties("LaunchTemplate")["LaunchTemplateData"]["UserData"]
    assert isinstance(text, str)
    return text


def run(text: str, directory: Path) -> tuple[int, list[str], Path]:
    """Run it with fakes and empty /etc and /var; return exit code, words, and kept files."""
    programs, kept, calls = directory / "bin", directory / "kept", directory / "calls"
    programs.mkdir()
    kept.mkdir()
    for name in PROGRAMS:
        (programs / name).write_text(FAKE)
        (programs / name).chmod(0o755)
    (programs / "python3").symlink_to(sys.executable)
    (directory / "user-data").write_text(text)
    empty = "mount -t tmpfs none /etc && mount -t tmpfs none /var && mkdir /etc/docker && "
    done = subprocess.run(
        ["unshare", "--mount", "bash", "-c", f"{empty} exec bash {directory / 'user-data'}"],
        env={
            "PATH": f"{programs}:{os.environ['PATH']}",
            "CALLS": str(calls),
            "KEPT": str(kept),
            "TMPDIR": str(directory),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    sys.stdout.write(done.stdout + done.stderr)
    return done.returncode, calls.read_text().splitlines(), kept


def test_sysbox_is_the_default_runtime_and_the_agent_runs_without_it(tmp_path: Path) -> None:
    """The engine keeps the package's runtime; the agent gets its cluster, and no sysbox."""
    code, calls, kept = run(script(), tmp_path)
    assert code == 0
    settings = json.loads((kept / "daemon.json").read_text())
    assert settings["default-runtime"] == "sysbox-runc"
    assert settings["runtimes"]["sysbox-runc"]["path"] == "/usr/bin/sysbox-runc"
    assert settings["mtu"] == 1400
    config = (kept / "ecs.config").read_text().splitlines()
    assert {"ECS_CLUSTER={Cluster}", "ECS_DISABLE_PRIVILEGED=true"} <= set(config)
    [agent] = [call for call in calls if call.startswith("docker run")]
    assert "--runtime=runc" in agent
    assert agent.endswith("amazon-ecs-agent:latest")
    restarted = calls.index("systemctl restart docker")
    assert restarted < calls.index(agent)


def test_a_package_that_is_another_one_is_not_installed(tmp_path: Path) -> None:
    """After a wrong checksum the script ends, and the machine never joins the cluster."""
    code, calls, _ = run(script("0" * 64), tmp_path)
    assert code != 0
    assert not [call for call in calls if call.endswith(".deb") and call.startswith("apt-get")]
    assert not [call for call in calls if call.startswith("docker")]


@pytest.mark.parametrize(("architecture", "name"), [("X86_64", "amd64"), ("ARM64", "arm64")])
def test_the_package_is_of_the_architecture(tmp_path: Path, architecture: str, name: str) -> None:
    """Sysbox is fetched for the machine's processor."""
    _, calls, _ = run(script(CpuArchitecture=architecture), tmp_path)
    [fetched] = [call for call in calls if call.startswith("curl")]
    assert fetched.endswith(f"sysbox-ce_0.6.4-0.linux_{name}.deb")


def test_shellcheck_finds_nothing(tmp_path: Path) -> None:
    """Shellcheck finds nothing in the script."""
    path = tmp_path / "user-data.sh"
    path.write_text(script())
    done = subprocess.run(
        ["shellcheck", str(path)],
        env={"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "")
