"""The scripts of the Makefile on a machine that lacks something."""

import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[2] / "scripts"
BASH = "/bin/bash"
PROGRAMS = dict(
    re.findall(r"^    (\S+):(\S+)$", (SCRIPTS / "system-packages").read_text(), re.MULTILINE)
)


def fake(directory: Path, program: str, body: str) -> None:
    """Put a program that does `body` in place of the real one."""
    path = directory / program
    path.write_text(f"#!{BASH}\n{body}\n")
    path.chmod(0o755)


def run(script: str, path: Path, *args: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run a script that finds programs in this directory only."""
    return subprocess.run(
        [BASH, SCRIPTS / script, *args],
        env={"PATH": os.fspath(path), **env},
        capture_output=True,
        text=True,
        check=False,
    )


def test_venv_names_each_unfit_python(tmp_path: Path) -> None:
    """Without a usable Python, each one that was tried is named with what it lacks."""
    fake(tmp_path, "python3.12", "exit 127")
    fake(tmp_path, "python3", '[[ "$2" != *ensurepip* ]]')
    result = run("venv", tmp_path, os.fspath(tmp_path / "venv"), "dev.lock")
    assert result.returncode == 1
    assert "python3.12: does not run, or is older than 3.11" in result.stderr
    assert "python3: lacks ensurepip" in result.stderr
    assert "apt-get install python3-venv" in result.stderr


def test_venv_completes_debians_python(tmp_path: Path) -> None:
    """On Debian python3 is enough for the first start: the script does without python3-venv."""
    installed = tmp_path / "installed"
    fake(tmp_path, "apt-get", f'[ "$1" = update ] || echo "$@" >{installed}')
    fake(tmp_path, "python3", f'[[ "$2" != *ensurepip* ]] || [ -e {installed} ]')
    result = run("venv", tmp_path, os.fspath(tmp_path / "venv"), "dev.lock")
    assert installed.read_text().split()[-1] == "python3-venv"
    assert "lacks ensurepip" not in result.stderr


def test_venv_takes_no_other_python_than_told(tmp_path: Path) -> None:
    """PYTHON=... is not silently replaced by another interpreter."""
    fake(tmp_path, "python3", "exit 0")
    result = run("venv", tmp_path, os.fspath(tmp_path / "venv"), "dev.lock", PYTHON="python2.7")
    assert result.returncode == 1
    assert "python2.7: not found" in result.stderr
    assert not (tmp_path / "venv").exists()


@pytest.fixture
def bare_machine(tmp_path: Path) -> Path:
    """A PATH with Python and coreutils' sort, and none of the programs that tests run."""
    (tmp_path / "sort").symlink_to("/usr/bin/sort")
    fake(tmp_path, "python3", "exit 0")
    return tmp_path


def test_missing_packages_are_named_in_one_line(bare_machine: Path) -> None:
    """A user who may not install packages gets their names in one line, and can go on."""
    fake(bare_machine, "id", "echo 1000")
    result = run("system-packages", bare_machine)
    assert result.returncode == 0
    assert len(result.stderr.splitlines()) == 1
    assert result.stderr.split("install: ")[1].split() == sorted(set(PROGRAMS.values()))


def test_missing_packages_are_installed_for_root(bare_machine: Path) -> None:
    """For root on Debian the script installs what is missing, each package once."""
    fake(bare_machine, "id", "echo 0")
    fake(bare_machine, "apt-get", f'echo "$@" >>{bare_machine}/calls')
    assert run("system-packages", bare_machine).returncode == 0
    update, install = (bare_machine / "calls").read_text().splitlines()
    assert update.startswith("update")
    assert install.endswith(" ".join(sorted(set(PROGRAMS.values()))))


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (
            "W: Temporary failure resolving 'mirror'\nE: Unable to locate package tini",
            "apt's mirrors cannot be reached; look at the network and the proxy",
        ),
        (
            "W: Invalid response from proxy: HTTP/1.1 403 Forbidden\nE: Unable to locate package",
            "the proxy or the mirror refuses; look at HTTP_PROXY and apt's own settings",
        ),
        (
            "E: You don't have enough free space in /var/cache/apt/archives/.",
            "the disk is full; free some space, then do the same again",
        ),
        (
            "E: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 1 (apt-get)",
            "another apt-get is at work; wait for it, then do the same again",
        ),
        ("Reading...\nE: Unmet dependencies.\n", "apt-get said: Unmet dependencies."),
    ],
    ids=["network", "proxy", "disk", "lock", "other"],
)
def test_packages_that_cannot_be_installed(tmp_path: Path, said: str, told: str) -> None:
    """If packages cannot be installed, one line names them, the cause, and what to do."""
    fake(tmp_path, "apt-get", f"echo {shlex.quote(said)} >&2; exit 100")
    result = run("apt-install", tmp_path, "tini", "jq")
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == f"scripts/apt-install: could not install tini jq: {told}\n"


@pytest.mark.parametrize(("ci", "code"), [("", 0), ("true", 1)])
def test_tests_go_on_without_packages(bare_machine: Path, ci: str, code: int) -> None:
    """A package that cannot be installed is a failure where a skipped test is one."""
    fake(bare_machine, "id", "echo 0")
    fake(bare_machine, "apt-get", "exit 100")
    result = run("system-packages", bare_machine, CI=ci)
    assert result.returncode == code
    assert len(result.stderr.splitlines()) == 1


def test_nothing_is_done_where_nothing_is_missing(bare_machine: Path) -> None:
    """If no program is missing, the package manager is not called."""
    fake(bare_machine, "apt-get", "exit 100")
    for program in PROGRAMS:
        fake(bare_machine, program, "exit 0")
    result = run("system-packages", bare_machine)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
