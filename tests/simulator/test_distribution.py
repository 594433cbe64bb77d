"""The distribution has the layout and the times of the real one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

from simulator import Distribution, Simulator, make_tar
from tests.simulator.home import RunnerHome


def test_the_layout_is_the_real_ones(home: RunnerHome) -> None:
    """The programs are where the real distribution has them, and executable."""
    programs = ("config.sh", "run.sh", "env.sh", "safe_sleep.sh", "run-helper.sh.template")
    for name in (*programs, "bin/Runner.Listener", "bin/Runner.Worker"):
        assert os.access(home.path / name, os.X_OK), name
    assert not (home.path / "_diag").exists()


def test_a_tar_has_the_files_at_its_top(simulator: Simulator, tmp_path: Path) -> None:
    """The archive unpacks like the one that GitHub publishes, and runs with the system's Python."""
    archive = make_tar(tmp_path / "runner.tar.gz", url=simulator.url)
    with tarfile.open(archive) as tar:
        names = set(tar.getnames())
        listener = tar.extractfile("./bin/Runner.Listener")
        assert listener is not None
        assert listener.readline() == b"#!/usr/bin/python3 -IS\n"
    assert {"./config.sh", "./run.sh", "./bin/installdependencies.sh"} <= names
    assert "./externals/node24/bin/node" in names


def test_the_command_line_writes_a_distribution(simulator: Simulator, tmp_path: Path) -> None:
    """Every time can be set by an option of its own."""
    command = [sys.executable, "-m", "simulator", "dist", str(tmp_path / "runner")]
    subprocess.run([*command, "--url", simulator.url, "--scale", "1", "--upload", "9"], check=True)
    settings = json.loads((tmp_path / "runner/bin/simulator.json").read_text())
    assert settings["upload"] == 9
    assert settings["worker_start"] == 0.06


def test_scale_multiplies_the_real_times() -> None:
    """The times of a cancelled step have a scale of their own: no step reacts in no time."""
    half = Distribution.scaled("http://127.0.0.1:1", 0.5)
    assert (half.upload, half.interrupt_grace) == (0.6, 3.75)
    none = Distribution.scaled("http://127.0.0.1:1", 0)
    assert (none.upload, none.interrupt_grace) == (0, 0.15)
