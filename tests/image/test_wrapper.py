"""Work of one's own before a life: a wrapper that ends with `exec gh-runner run`."""

from __future__ import annotations

from pathlib import Path

import pytest

from simulator import Simulator
from tests.image.conftest import TOKEN, StartRunner
from tests.image.engine import Container
from tests.support.life import until

# In bash, because dash unblocks all signals when it starts a command.
BEFORE = """#!/bin/bash -e
echo prepared >/run/prepared
touch /shared/works
until [ -e /shared/go ]; do sleep 0.05; done
exec gh-runner run
"""


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    """A folder with the wrapper, which waits there until the test lets it go on."""
    folder = tmp_path / "shared"
    folder.mkdir()
    folder.chmod(0o777)
    (folder / "before").write_text(BEFORE)
    (folder / "before").chmod(0o755)
    return folder


def wrapped(start: StartRunner, shared: Path) -> Container:
    """Start a runner whose entry point is the wrapper, and wait until that works."""
    options = ["--volume", f"{shared}:/shared", "--entrypoint", "/usr/bin/env"]
    container = start(*options, command=["--block-signal", "/shared/before"])
    until((shared / "works").exists)
    return container


def test_wrapper_prepares_a_life(start: StartRunner, github: Simulator, shared: Path) -> None:
    """A job finds what the wrapper has made, and no credential in what the wrapper has become."""
    job = github.queue_job("cat /run/prepared; sudo cat /proc/1/environ | tr '\\0' '\\n'; id -un")
    container = wrapped(start, shared)
    (shared / "go").touch()
    assert container.wait() == 0, container.logs()
    log = github.job(job["id"])["log"]
    assert log.startswith("prepared\n")
    assert log.endswith("runner\n")
    assert TOKEN not in log


def test_stop_while_the_wrapper_works(start: StartRunner, github: Simulator, shared: Path) -> None:
    """The stop takes effect as soon as the wrapper has ended, and nothing is registered."""
    container = wrapped(start, shared)
    container.kill("TERM")
    (shared / "go").touch()
    assert container.wait() == 143, container.logs()
    assert github.requests() == []
