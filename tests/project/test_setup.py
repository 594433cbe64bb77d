"""`scripts/venv` on a fresh machine installs what the lock names, or ends with one line."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.package_index import PackageIndex, file_name, wheel

ROOT = Path(__file__).parents[2]
# Some package asks for beta with an extra, and the lock names beta without; 2.0 would fit, too.
LOCKED = ("alpha==1.0", "beta==1.0", "gamma==1.0")
PROJECT = """\
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]

[project]
name = "project"
version = "1.0"
"""
# Builds an empty package, so that no build system has to be installed.
BACKEND = """\
import shutil

def build_editable(directory, *_):
    return shutil.copy(NAME, directory).rpartition("/")[2]

def get_requires_for_build_editable(*_):
    return []
"""


@pytest.fixture(scope="module")
def index() -> Iterator[PackageIndex]:
    """An index with what the lock names, and a newer release of beta."""
    with PackageIndex() as index:
        index.add("alpha", "1.0", "Requires-Dist: beta[fast]>=1")
        extra = ("Provides-Extra: fast", 'Requires-Dist: gamma; extra == "fast"')
        index.add("beta", "1.0", *extra)
        index.add("beta", "2.0", *extra)
        index.add("gamma", "1.0")
        yield index


def project(directory: Path, lock: str) -> Path:
    """A checkout that holds a project and the lock file that was given."""
    directory.mkdir(exist_ok=True)
    name = file_name("project", "1.0")
    (directory / "pyproject.toml").write_text(PROJECT)
    (directory / "backend.py").write_text(BACKEND.replace("NAME", f'"{name}"'))
    (directory / name).write_bytes(wheel("project", "1.0"))
    (directory / "dev.lock").write_text(lock)
    return directory


def environment(index_url: str, **env: str) -> dict[str, str]:
    """An environment in which pip knows this index only."""
    pip = {"PIP_CONFIG_FILE": os.devnull, "PIP_INDEX_URL": index_url, "PIP_RETRIES": "0"}
    base = Path(os.path.realpath(sys.executable)).parent
    path = f"{base}:{os.environ['PATH']}"
    return {"PATH": path, "HOME": "/nonexistent", "PIP_NO_CACHE_DIR": "1", **pip, **env}


def run(
    checkout: Path, index_url: str, *prefix: str, **env: str
) -> subprocess.CompletedProcess[str]:
    """Install the checkout's lock into its .venv."""
    return subprocess.run(
        [*prefix, ROOT / "scripts" / "venv", ".venv", "dev.lock"],
        cwd=checkout,
        env=environment(index_url, PYTHON=sys.executable, **env),
        capture_output=True,
        text=True,
        check=False,
    )


def installed(python: Path) -> set[str]:
    """NAME==VERSION of each package of an environment, but pip and its like."""
    found = subprocess.check_output(
        [sys.executable, "-m", "pip", "--python", python, "list", "--format", "freeze"], text=True
    )
    return {line for line in found.split() if not line.startswith(("pip=", "setuptools="))}


@pytest.fixture(scope="module")
def first_checkout(
    index: PackageIndex, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, list[str]]:
    """A checkout whose .venv has just been made, and the requests to the index meanwhile."""
    checkout = project(tmp_path_factory.mktemp("first"), index.lock(LOCKED))
    index.asked.clear()
    result = run(checkout, index.url)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    return checkout, list(index.asked)


def test_venv_installs_the_lock_and_resolves_nothing(
    first_checkout: tuple[Path, list[str]],
) -> None:
    """The newer release of a package that another one asks for with an extra is not looked at."""
    checkout, asked = first_checkout
    assert installed(checkout / ".venv/bin/python") == {*LOCKED, "project==1.0"}
    files = {path.removeprefix("/files/") for path in asked if path.startswith("/files/")}
    assert files == {file_name(*release.split("==")) for release in LOCKED}


def test_image_installs_the_lock_and_resolves_nothing(index: PackageIndex, tmp_path: Path) -> None:
    """The image's environment also comes from its lock file, without resolving."""
    (tmp_path / "image.lock").write_text(index.lock(LOCKED))
    subprocess.run(
        [ROOT / "image" / "make-venv", tmp_path / "venv", tmp_path / "image.lock"],
        env=environment(index.url),
        check=True,
    )
    assert installed(tmp_path / "venv/bin/python") == set(LOCKED)


def test_this_environment_is_complete() -> None:
    """requirements-dev.lock names every package that its packages ask for."""
    subprocess.run([sys.executable, "-m", "pip", "check"], check=True)


def test_locks_agree() -> None:
    """The image, the demo and the tests run the same releases of what they share."""

    def pinned(name: str) -> set[str]:
        text = (ROOT / name).read_text()
        return set(re.findall(r"^[a-z0-9.-]+==[^ ]+", text, re.MULTILINE))

    image, demo, dev = (pinned(f"requirements{kind}.lock") for kind in ("", "-demo", "-dev"))
    assert image < demo < dev
    aws = pinned("requirements-aws.lock")
    names = {line.partition("==")[0] for line in aws}
    assert {line for line in dev if line.partition("==")[0] in names} <= aws


def _link(source: str, target: str) -> None:
    os.link(source, target, follow_symlinks=False)


@pytest.fixture
def checkout(first_checkout: tuple[Path, list[str]], index: PackageIndex, tmp_path: Path) -> Path:
    """A checkout with a complete .venv, whose lock file then names one more package."""
    index.add("delta", "1.0")
    project(tmp_path, index.lock((*LOCKED, "delta==1.0")))
    venv = first_checkout[0] / ".venv"
    # pip removes a file before it writes another one with the same name, so links are enough.
    shutil.copytree(venv, tmp_path / ".venv", symlinks=True, copy_function=_link)
    return tmp_path


def refused(result: subprocess.CompletedProcess[str]) -> str:
    """Return the one line by which the script has failed."""
    assert result.returncode == 1, result
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.startswith("scripts/venv: ")
    return line


def assert_goes_on(checkout: Path, index: PackageIndex) -> None:
    """Once the cause is gone, a second run fetches only the package that was missing."""
    index.asked.clear()
    result = run(checkout, index.url)
    assert (result.returncode, result.stderr) == (0, "")
    assert index.asked == ["/simple/delta/", f"/files/{file_name('delta', '1.0')}"]


def test_venv_without_network(checkout: Path, index: PackageIndex) -> None:
    """If the index cannot be reached, the error says that, and not that a package is missing."""
    assert "cannot be reached" in refused(run(checkout, "http://127.0.0.1:9/simple"))
    line = refused(run(checkout, "https://index.invalid/simple"))
    assert "pip install --requirement dev.lock failed" in line
    assert "the package index cannot be reached: look at the network" in line
    assert_goes_on(checkout, index)


def test_venv_behind_a_proxy_that_refuses(checkout: Path, index: PackageIndex) -> None:
    """The error names the proxy that refuses, without its URL, which may hold a password."""
    proxy = index.url.replace("http://", "http://me:secret@").removesuffix("/simple")
    line = refused(run(checkout, "https://index.invalid/simple", HTTPS_PROXY=proxy))
    assert "the proxy refuses: look at HTTPS_PROXY" in line
    assert "secret" not in line


def test_venv_from_an_index_that_pip_does_not_trust(checkout: Path) -> None:
    """An index over plain http is used only if the user allows it."""
    line = refused(run(checkout, "http://index.invalid/simple"))
    assert "give its https URL, or name its host in PIP_TRUSTED_HOST" in line


def test_venv_from_an_index_that_lacks_a_release(checkout: Path, index: PackageIndex) -> None:
    """The error names the release that the index lacks, even if it has others."""
    del index.files[file_name("delta", "1.0")]
    index.add("delta", "1.1")
    line = refused(run(checkout, index.url))
    assert "the index has no delta==1.0" in line


def test_venv_refuses_another_file_than_locked(checkout: Path, index: PackageIndex) -> None:
    """A file with another checksum than the lock's is named, and not installed."""
    index.add("delta", "1.0", "Summary: not the one that was locked")
    line = refused(run(checkout, index.url))
    assert "delta==1.0 is not what dev.lock names" in line
    assert "delta==1.0" not in installed(checkout / ".venv/bin/python")


def test_venv_refuses_a_lock_that_lacks_something(checkout: Path, index: PackageIndex) -> None:
    """If the lock lacks a package that others need, the set-up fails, before any test can."""
    index.add("delta", "1.0", "Requires-Dist: epsilon")
    (checkout / "dev.lock").write_text(index.lock((*LOCKED, "delta==1.0")))
    assert "requires epsilon" in refused(run(checkout, index.url))


def test_venv_on_a_full_disk(checkout: Path, index: PackageIndex) -> None:
    """A package that the full disk has cut off is installed again, once there is space."""
    index.add("large", "1.0", size=60 << 20)
    (checkout / "dev.lock").write_text(index.lock((*LOCKED, "large==1.0")))
    (checkout / ".venv").rename(checkout / "venv")
    (checkout / ".venv").mkdir()
    script = """
        mount -t tmpfs -o size=50m tmpfs .venv && cp -a venv/. .venv || exit 99
        if "$@"; then exit 98; fi
        mount -o remount,size=300m .venv || exit 97
        "$@" && stat --format=%s .venv/lib/python*/site-packages/large.data.bin
    """
    result = run(checkout, index.url, "unshare", "--mount", "sh", "-c", script, "sh")
    assert result.returncode == 0, result
    (line,) = result.stderr.splitlines()
    assert "pip install --requirement dev.lock failed; the disk is full: free some space" in line
    assert result.stdout.split() == [str(60 << 20)]


def test_venv_in_a_read_only_checkout(
    checkout: Path, index: PackageIndex, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """If the checkout is read-only, the advice is another place for .venv, which then works."""
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "venv"
    (checkout / ".venv").rename(elsewhere)
    script = f"""
        mount --bind -o ro {checkout} {checkout} && cd {checkout} || exit 99
        "$@"
        "$1" {elsewhere} "$3"
    """
    result = run(checkout, index.url, "unshare", "--mount", "sh", "-c", script, "sh")
    assert result.returncode == 0, result
    (line,) = result.stderr.splitlines()
    assert ".venv cannot be written: give another place, as in `make demo VENV=" in line
    assert installed(elsewhere / "bin/python") == {*LOCKED, "delta==1.0", "project==1.0"}
