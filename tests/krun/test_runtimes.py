"""The runtimes: what must exist before a start, and the arguments for krun and krunvm."""

from __future__ import annotations

import json
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

from tests.krun.conftest import ROOT, Orchestrator, option, options
from tests.support import unprivileged
from tests.support.life import until

# Gives a command its own /dev, with or without /dev/kvm, whatever this machine has.
DEV = """
mount -t tmpfs -o mode=755 dev /dev &&
for device in 'null 1 3' 'zero 1 5' 'urandom 1 9' 'tty 5 0' 'random 1 8'; do
    set -- $device "$@"; mknod -m 666 /dev/$1 c $2 $3; shift 3
done
"""
KVM = "mknod -m 666 /dev/kvm c 1 3 &&"
NOBODY = " ".join(unprivileged.prefix())
CLOSED_KVM = "mknod -m 600 /dev/kvm c 1 3 &&"


def dev(script: str = "", become: str = "") -> list[str]:
    """Return words that run a command with such a /dev."""
    return ["unshare", "--mount", "sh", "-c", f'{DEV} {script} exec {become} "$@"', "sh"]


def give_to_nobody(orchestrator: Orchestrator) -> None:
    """Let user 65534 run the orchestrator, in spite of the modes of the test's folders."""
    subprocess.run(["chown", "-R", "65534", orchestrator.directory], check=True)
    for folder in orchestrator.directory.parents:
        if str(folder).startswith(tempfile.gettempdir() + "/"):
            folder.chmod(folder.stat().st_mode | 0o011)


@pytest.fixture
def with_krun(orchestrator: Orchestrator) -> Orchestrator:
    """Install a krun that can start microVMs."""
    orchestrator.install("krun")
    (orchestrator.fake / "libkrun").touch()
    return orchestrator


@pytest.mark.parametrize("runtime", ["", "podman", "podman+krun"])
def test_krun(with_krun: Orchestrator, runtime: str) -> None:
    """The runtime podman+krun is found; processors and memory are those of the microVM."""
    with_krun.live({"seconds": 0})
    words = ("-r", "1", "-c", "4", "-m", "2048")
    with_krun.start("-R", runtime, runner=words, wrapper=dev(KVM))
    assert with_krun.wait() == 0, with_krun.log
    (run,) = with_krun.calls("podman", "run")
    assert option(run, "--runtime") == str(with_krun.bin / "krun")
    assert {"krun.cpus=4", "krun.ram_mib=2048"} <= set(options(run, "--annotation"))
    assert "--cpus" not in run
    assert option(run, "--memory") == "2304m"
    assert "--no-healthcheck" in run
    folder = ROOT / "deploy/krun"
    targets = {v.split(":")[0]: v.split(":")[1] for v in options(run, "--volume")}
    assert targets[str(folder / "docker")] == "/usr/local/bin/docker"
    assert targets[str(folder / "containers.conf")].startswith("/etc/containers/containers.conf.d")
    (seen,) = with_krun.seen()
    assert seen["settings"]["RUNNER_ENGINE"] == "podman"


def test_another_engine(with_krun: Orchestrator) -> None:
    """If the operator sets RUNNER_ENGINE, that is used."""
    with_krun.live({"seconds": 0})
    env = {"RUNNER_ENGINE": "none"}
    with_krun.start("-R", "podman+krun", runner=["-r", "1"], wrapper=dev(KVM), env=env)
    assert with_krun.wait() == 0, with_krun.log
    assert with_krun.seen()[0]["settings"]["RUNNER_ENGINE"] == "none"


def test_an_ordinary_runtime_needs_no_kvm(orchestrator: Orchestrator) -> None:
    """Another runtime in krun's place runs a container, with the image's own engine."""
    orchestrator.live({"seconds": 0})
    orchestrator.start(runner=["-r", "1"], wrapper=dev())
    assert orchestrator.wait() == 0, orchestrator.log
    assert "RUNNER_ENGINE" not in orchestrator.seen()[0]["settings"]


def test_no_kvm(with_krun: Orchestrator) -> None:
    """Without /dev/kvm one sentence says so, and nothing is pulled or started."""
    with_krun.start("-R", "podman+krun", wrapper=dev())
    assert with_krun.wait() == 69
    assert with_krun.log.count("\n") == 1
    assert "there is no /dev/kvm, so no microVM can start" in with_krun.log
    assert with_krun.calls("podman") == []


def test_kvm_of_somebody_else(with_krun: Orchestrator) -> None:
    """If this user may not open /dev/kvm, another sentence says that."""
    give_to_nobody(with_krun)
    with_krun.start("-R", "podman+krun", wrapper=dev(CLOSED_KVM, NOBODY))
    assert with_krun.wait() == 69, with_krun.log
    assert "/dev/kvm is not open to this user" in with_krun.log


def test_no_krun(orchestrator: Orchestrator) -> None:
    """If a runtime is not installed, the error names it."""
    assert orchestrator.start("-R", "podman+krun").wait() == 69
    assert "podman+krun: there is no krun on PATH" in orchestrator.log
    assert orchestrator.calls() == []


def test_krun_without_libkrun(orchestrator: Orchestrator) -> None:
    """A crun without libkrun would start containers and not microVMs, so it is refused."""
    orchestrator.install("krun")
    assert orchestrator.start("-R", "podman+krun", wrapper=dev(KVM)).wait() == 69
    assert "was built without libkrun" in orchestrator.log
    assert orchestrator.calls("podman") == []


def test_no_podman(orchestrator: Orchestrator) -> None:
    """If podman is not installed, the error names it."""
    (orchestrator.bin / "podman").unlink()
    empty = {"PATH": f"{orchestrator.bin}"}
    assert orchestrator.start(env=empty).wait() == 69
    assert "podman is not installed" in orchestrator.log


def test_nothing_at_all(orchestrator: Orchestrator) -> None:
    """Without krun, krunvm and -R the error says that there is no runtime."""
    assert orchestrator.start("-R", "").wait() == 69
    assert "neither krun (for podman) nor krunvm" in orchestrator.log


@pytest.fixture
def with_krunvm(orchestrator: Orchestrator) -> Orchestrator:
    """Install krunvm and buildah only."""
    (orchestrator.bin / "podman").unlink()
    orchestrator.install("krunvm", "buildah")
    return orchestrator


@pytest.mark.parametrize("runtime", ["", "krunvm"])
def test_krunvm(with_krunvm: Orchestrator, tmp_path: Path, runtime: str) -> None:
    """Krunvm makes, starts and deletes a microVM with the image's program for each job."""
    with_krunvm.live({"seconds": 0})
    (with_krunvm.fake / "registry").write_text("sha256:new")
    words = ["-r", "2", "-c", "4", "-m", "2048", "-d", "9.9.9.9", "-M", f"{tmp_path}:/cache"]
    with_krunvm.start("-R", runtime, runner=words, wrapper=dev(KVM))
    assert with_krunvm.wait() == 0, with_krunvm.log
    assert with_krunvm.calls("buildah", "pull") == [["pull", "--quiet", "example.com/image:1"]] * 2
    creates = with_krunvm.calls("krunvm", "create")
    names = [option(create, "--name") for create in creates]
    assert len(set(names)) == 2
    assert creates[0][1] == "example.com/image:1"
    assert option(creates[0], "--cpus") == "4"
    assert option(creates[0], "--mem") == "2048"
    assert option(creates[0], "--dns") == "9.9.9.9"
    assert f"{tmp_path}:/cache" in options(creates[0], "--volume")
    start = with_krunvm.calls("krunvm", "start")[0]
    assert {"RUNNER_ENVFILE=/gh-runner/runner.env", "RUNNER_STATE_DIR=/gh-runner/state"} <= set(
        options(start, "--env")
    )
    assert "RUNNER_VERSION=2.336.0" in options(start, "--env")  # from the image
    at = start.index(names[0])
    assert start[at : at + 4] == [names[0], "/usr/bin/env", "--", "--block-signal"]
    assert [words[1] for words in with_krunvm.calls("krunvm", "delete")] == names
    assert "ghp_" not in json.dumps(with_krunvm.calls())


def test_krunvm_without_root(with_krunvm: Orchestrator) -> None:
    """An ordinary user's krunvm runs in buildah's namespace, since it mounts the image."""
    give_to_nobody(with_krunvm)
    with_krunvm.live({"seconds": 0})
    with_krunvm.start("-R", "krunvm", runner=["-r", "1"], wrapper=dev(KVM, NOBODY))
    assert with_krunvm.wait() == 0, with_krunvm.log
    commands = [words[:3] for words in with_krunvm.calls("buildah", "unshare")]
    assert [words[1:3] for words in commands] == [
        ["krunvm", "create"],
        ["krunvm", "start"],
        ["krunvm", "delete"],
    ]


def test_krunvm_stop(with_krunvm: Orchestrator) -> None:
    """Krunvm passes no signal on, so that its microVMs are stopped by the stop file."""
    with_krunvm.start("-R", "krunvm", "-n", "2", wrapper=dev(KVM)).until_listening(2)
    assert with_krunvm.signal().wait() == 143
    assert with_krunvm.alive() == []
    assert with_krunvm.log.count("ended with 143") == 2


def test_krunvm_killed_orchestrator(with_krunvm: Orchestrator) -> None:
    """A living microVM of a killed orchestrator is found by its lock, and stopped by the file."""
    with_krunvm.start("-R", "krunvm", wrapper=dev(KVM)).until_listening()
    assert len(with_krunvm.alive()) == 1
    with_krunvm.signal(signal.SIGKILL).wait()
    with_krunvm.live({"seconds": 0})
    with_krunvm.start("-R", "krunvm", runner=["-r", "1"], wrapper=dev(KVM))
    assert with_krunvm.wait() == 0, with_krunvm.log
    assert with_krunvm.alive() == []
    assert "that was killed has left it" in with_krunvm.log
    assert list(with_krunvm.shared.iterdir()) == []


def test_krunvm_that_does_not_stop(with_krunvm: Orchestrator) -> None:
    """A microVM that does not stop is killed after its time, and its runner is swept."""
    with_krunvm.live({"deaf": True}, {"sweep": 0})
    env = {"RUNNER_STOP_TIMEOUT": "0", "ORCHESTRATOR_SWEEP": "0"}
    with_krunvm.start("-R", "krunvm", wrapper=dev(KVM), env=env).until_listening()
    begin = time.monotonic()
    assert with_krunvm.signal().wait(60) == 143
    assert time.monotonic() - begin < 40
    assert with_krunvm.alive() == []
    until(lambda: any(seen["arguments"] for seen in with_krunvm.seen()))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["-M", "/tmp:/x:ro"], "krunvm knows no options of a mount"),
        (["-M", "/etc/hosts:/x"], "/etc/hosts is no folder, and krunvm mounts nothing else"),
        (["-D", "/checkout"], "krunvm mounts nothing read-only"),
    ],
)
def test_what_krunvm_cannot_do(with_krunvm: Orchestrator, words: list[str], said: str) -> None:
    """An option that krunvm would handle differently is refused."""
    assert with_krunvm.start("-R", "krunvm", runner=words).wait() == 78
    assert said in with_krunvm.log


def test_krunvm_needs_buildah(with_krunvm: Orchestrator) -> None:
    """If krunvm or buildah is missing, the error names it."""
    (with_krunvm.bin / "buildah").unlink()
    env = {"PATH": f"{with_krunvm.bin}:/bin-of-nobody"}
    assert with_krunvm.start("-R", "krunvm", env=env).wait() == 69
    assert "krunvm: there is no buildah on PATH" in with_krunvm.log
