"""The user that jobs run as, and the capabilities that jobs have."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from entrypoint.container import account
from simulator import Simulator
from tests.probe.cage import walls
from tests.support.life import NAMESPACE, USER, Life

SETPCAP, SYS_PTRACE = 1 << 8, 1 << 19


def status(text: str) -> dict[str, str]:
    """Return the lines of a /proc/PID/status."""
    return dict(re.findall(r"^(\w+):\t(.*)$", text, re.MULTILINE))


def powers_of_a_job(life: Life, simulator: Simulator, **options: str) -> dict[str, str]:
    """Return the lines of /proc/PID/status of a step in a job."""
    job = simulator.queue_job("cat /proc/self/status")
    assert life.start(namespace=walls("sys_ptrace"), **options).wait() == 0, life.output
    return status(simulator.job(job["id"])["log"])


def test_unknown_user() -> None:
    """If the user does not exist, the error names it."""
    assert account.lookup("nobody-at-all") is None
    with pytest.raises(LookupError, match="nobody-at-all"):
        account.require("nobody-at-all")


def test_user_namespace_of_one_user(life: Life, simulator: Simulator) -> None:
    """If root is the only user of its namespace, the error says so, and GitHub gets no request."""
    alone = ["unshare", "--user", "--map-root-user", *NAMESPACE]
    assert life.start(namespace=alone).wait() == 78, life.output
    assert f"root cannot become {USER} in this user namespace" in life.error()
    assert simulator.requests() == []


def test_kernel_judges_access_as_the_user(tmp_path: Path) -> None:
    """The kernel judges access by the user's rights; afterwards the process is root again."""
    user, path = account.require(USER), tmp_path / "file"
    path.touch(mode=0o600)
    assert not account.can(user, str(path), 4)
    assert account.can(user, "/etc/passwd", 4)
    assert not account.can(user, "/etc/passwd", 2)
    path.read_text()


def test_job_lacks_what_pid_1_has(life: Life, simulator: Simulator) -> None:
    """A job cannot get CAP_SYS_PTRACE, not even by sudo."""
    told = powers_of_a_job(life, simulator)
    bounding = int(told["CapBnd"], 16)
    assert not bounding & SYS_PTRACE
    assert bounding & SETPCAP
    assert int(told["CapEff"], 16) == int(told["CapInh"], 16) == 0


def test_allowed_ptrace_costs_another_capability(life: Life, simulator: Simulator) -> None:
    """With RUNNER_ALLOW_PTRACE=1 jobs keep it, and a warning says what that means."""
    bounding = int(powers_of_a_job(life, simulator, RUNNER_ALLOW_PTRACE="1")["CapBnd"], 16)
    assert bounding & SYS_PTRACE
    assert not bounding & SETPCAP
    assert "RUNNER_ALLOW_PTRACE: a job with sudo" in life.output


@pytest.mark.parametrize("more", [{"RUNNER_SUDO": "0"}, {"RUNNER_CREDENTIAL": "until-job"}])
def test_no_warning_where_ptrace_finds_nothing(
    life: Life, simulator: Simulator, more: dict[str, str]
) -> None:
    """There is no warning if a job cannot become root, or has no credential to find."""
    powers_of_a_job(life, simulator, RUNNER_ALLOW_PTRACE="1", **more)
    assert "RUNNER_ALLOW_PTRACE: a job" not in life.output


@pytest.mark.parametrize(("setting", "told"), [("1", "0"), ("0", "1")])
def test_sudo(life: Life, simulator: Simulator, setting: str, told: str) -> None:
    """A job may use sudo by default; with RUNNER_SUDO=0 no program makes it root."""
    job = simulator.queue_job("sudo -n true && echo root; grep NoNewPrivs /proc/self/status")
    assert life.start(namespace=walls(), RUNNER_SUDO=setting).wait() == 0, life.output
    log = simulator.job(job["id"])["log"]
    assert ("root\n" in log) is (setting == "1")
    assert f"NoNewPrivs:\t{told}" in log
