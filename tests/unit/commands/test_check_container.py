"""What `gh-runner check` finds in the container itself."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from entrypoint.commands import check_container
from entrypoint.commands.finding import Finding, Verdict
from entrypoint.errors import ExitCode
from entrypoint.lifecycle import engine_choice
from tests.support import fakehub

LIBRARY = "libcoreclr.so"


@pytest.fixture
def ldd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Make a runner with one library of .NET, and an ldd that prints what the test wants."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / LIBRARY).touch()
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(check_container, "_has_icu", lambda: True)

    def say(words: str) -> None:
        program = tmp_path / "ldd"
        program.write_text(f"#!/bin/sh\ntest $1 = {tmp_path}/bin/{LIBRARY} && echo '{words}'\n")
        program.chmod(0o755)

    return say


def only(found: Iterator[Finding]) -> Finding:
    """Return the only finding."""
    (one,) = found
    return one


def test_libraries(tmp_path: Path, ldd: Callable[[str], None]) -> None:
    """If all libraries are there, nothing is to do."""
    ldd("libc.so.6 => /lib/libc.so.6 (0x0)")
    assert only(check_container._libraries(str(tmp_path))).verdict is Verdict.FINE


def test_missing_libraries(
    tmp_path: Path, ldd: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A missing library is named, with the program that installs it."""
    ldd("liblttng-ust.so.1 => not found")
    monkeypatch.setattr(check_container, "_has_icu", lambda: False)
    found = only(check_container._libraries(str(tmp_path)))
    assert found.code is ExitCode.RUNNER
    assert "liblttng-ust.so.1, libicu" in found.said
    assert "installdependencies.sh" in found.remedy


def test_no_dotnet(tmp_path: Path) -> None:
    """A runner without libraries of .NET is not judged by them."""
    assert list(check_container._libraries(str(tmp_path))) == []


@pytest.mark.parametrize(
    ("least", "verdict", "code"), [("0", "fine", ExitCode.DONE), ("999T", "wrong", ExitCode.RETRY)]
)
def test_disk(least: str, verdict: str, code: ExitCode, tmp_path: Path) -> None:
    """The free space that `run` asks for counts, and nothing else."""
    settings = {"RUNNER_WORKDIR": str(tmp_path), "RUNNER_MIN_FREE_DISK": least}
    parsed = fakehub.parse(settings)
    found = only(check_container._disk(parsed, engine_choice.choose(parsed, {})))
    assert (found.verdict, found.code) == (verdict, code)
    assert str(tmp_path) in found.said


@pytest.mark.parametrize(
    ("kind", "installed", "code"),
    [("docker", "dockerd", 0), ("podman", "podman", 0), ("docker", "", 69), ("none", "", None)],
)
def test_engine(
    kind: str, installed: str, code: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A container engine that the settings name must be installed."""
    monkeypatch.setenv("PATH", str(tmp_path))
    if installed:
        (tmp_path / installed).touch(mode=0o755)
    settings = fakehub.parse({"RUNNER_ENGINE": kind})
    found = list(check_container._engine(settings, engine_choice.choose(settings, {})))
    assert [one.code for one in found] == ([] if code is None else [code])
