"""What the README and the pages tell a user to type about the image works as it stands there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from simulator import Simulator
from tests.image.conftest import TOKEN, RunOptions, built
from tests.image.engine import ROOT, Engine
from tests.project.test_simulator_page import free_port
from tests.support.secrets import app_key

APP_ID = 123456  # in docs/faq.md
CACHE = "gh-runner-tools"  # the volume in docs/containers.md
# Plays the docker command: it adds what leads to the simulator, and takes the image of the tests.
SHIM = """\
#!/usr/bin/env bash
settings=({settings})
words=()
for word in "${{@:2}}"; do
    case $word in
        RUNNER_JITCONFIG) settings=() ;;  # says it all
        gh-runner) word={image} ;;
        {cache}:*) word=gh-runner-test-tools:${{word#*:}} ;;
    esac
    words+=("$word")
done
exec {docker} "$1" {options} "${{settings[@]}}" "${{words[@]}}"
"""


def typed(page: str, language: str) -> list[str]:
    """Return the blocks of a page that start the image, without what fetches and builds it."""
    text = (ROOT / page).read_text()
    found = re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    lines = [re.sub(r"^(git clone|make) .*\n", "", b, flags=re.MULTILINE) for b in found]
    return [block for block in lines if "docker run" in block]


@pytest.fixture
def directory(  # a directory with .env, and a PATH on which `docker` leads to the simulator
    docker: Engine, image: str, network: str, run_options: RunOptions, tmp_path: Path
) -> Path:
    """Make what a user has: a clone's .env, an App's key, a docker command that knows the image."""
    _, _, *options = run_options()
    (tmp_path / "app.pem").write_text(app_key())
    given = (tmp_path / "runner-0/.env").read_text().splitlines()
    theirs = ("GITHUB_URL", "GITHUB_PERSONAL_TOKEN=")
    (tmp_path / ".env").write_text("".join(f"{s}\n" for s in given if s.startswith(theirs)))
    ours = [f"--env={setting}" for setting in given if not setting.startswith(theirs)]
    options = [f"--network={network}", *options]
    shim = tmp_path / "bin" / "docker"
    shim.parent.mkdir()
    shim.write_text(
        SHIM.format(
            docker=docker.program,
            options=" ".join(options),
            settings=" ".join(ours),
            image=image,
            cache=CACHE,
        )
    )
    shim.chmod(0o755)
    return tmp_path


BLOCKS = [
    *typed("README.md", "bash"),
    *typed("docs/faq.md", "sh"),
    *typed("docs/containers.md", "sh"),
]


@pytest.mark.parametrize("block", BLOCKS, ids=range(len(BLOCKS)))
def test_run(block: str, docker: Engine, directory: Path, github: Simulator) -> None:
    """Each command starts a runner, which takes a job that finds a cache to write into."""
    key = serialization.load_pem_private_key(app_key().encode(), None).public_key()
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    public = key.public_bytes(serialization.Encoding.PEM, form).decode()
    permissions = {"administration": "write", "metadata": "read"}
    installation = {"id": 1, "account": "acme", "permissions": permissions}
    github.add_app(APP_ID, public, installation)
    job = github.queue_job("touch /opt/hostedtoolcache/seen")
    done = subprocess.run(
        ["bash", "-ec", block],
        cwd=directory,
        input=f"{TOKEN}\n",
        env={**os.environ, "PATH": f"{directory}/bin:{os.environ['PATH']}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    docker("volume", "rm", "gh-runner-test-tools", check=False)
    assert done.returncode == 0, done.stdout
    assert github.job(job["id"])["result"] == "succeeded"
    assert github.runners() == []


def test_own_tools(docker: Engine, image: str, tmp_path: Path) -> None:
    """The Dockerfile of docs/images.md adds its package to the image."""
    page = (ROOT / "docs/images.md").read_text()
    found = re.search(r"^```dockerfile\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    assert found
    assert "FROM ghcr.io/OWNER/gh-runner:1\n" in found[1]
    own = found[1].replace("ghcr.io/OWNER/gh-runner:1", image)
    (tmp_path / "Dockerfile").write_text(own)
    options = ["--file", str(tmp_path / "Dockerfile")]
    tag = built(docker, "gh-runner-test:own-tools", *options, build_args={})
    said = docker("run", "--rm", tag, "setpriv", "--reuid=runner", "--clear-groups", "psql", "-V")
    assert "PostgreSQL" in said


def test_image_by_hand(docker: Engine, image: str) -> None:
    """The commands of docs/simulator.md run the image on the simulator, and stop it."""
    page = (ROOT / "docs/simulator.md").read_text().partition("## The image by hand")[2]
    found = re.search(r"^```sh\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    assert found
    script = found[1].replace("$PWD/.venv/bin", f"{sys.prefix}/bin")
    script = script.replace("8099", str(free_port())).replace("shop gh-runner\n", f"shop {image}\n")
    try:
        done = subprocess.run(
            ["bash", "-ec", script],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
            check=False,
        )
    finally:
        docker("rm", "--force", "gh-runner-by-hand", check=False)
    assert done.returncode == 0, done.stdout
    assert "exit code 143" in done.stdout
