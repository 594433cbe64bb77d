"""The runner's files and programs: problems are reported before GitHub gets a request."""

from __future__ import annotations

import os
import shutil
from typing import Any

import pytest

from entrypoint.container import account
from entrypoint.runner import program
from entrypoint.settings.schema import Settings, variables
from entrypoint.vault import SECRETS
from simulator import Simulator
from tests.support.life import NAMESPACE, USER, Life
from tests.support.settings import parse

GIVEN = {"GITHUB_OWNER": "acme", "GITHUB_REPOSITORY": "shop", "GITHUB_PERSONAL_TOKEN": "t"}


def settings(**changes: object) -> Settings:
    """Return right settings, except for these fields."""
    return parse(GIVEN)._replace(**changes)  # type: ignore[arg-type]


def refusal(life: Life, simulator: Simulator, **env: Any) -> str:
    """Return the error of a life that has not asked GitHub."""
    assert life.start(**env).wait() == 78, life.output
    assert simulator.requests() == []
    return life.error()


def test_unknown_user(life: Life, simulator: Simulator) -> None:
    """A user that the image does not have is named in the error."""
    error = refusal(life, simulator, RUNNER_USER="rumner")
    assert "RUNNER_USER: this container has no user 'rumner'" in error


def test_home_without_runner(life: Life, simulator: Simulator) -> None:
    """If a directory is not the runner's, the error names what it lacks."""
    error = refusal(life, simulator, RUNNER_HOME="/usr")
    assert "RUNNER_HOME: /usr holds no config.sh and no run.sh" in error


def test_home_without_config_sh(life: Life, simulator: Simulator) -> None:
    """A directory with run.sh only is refused."""
    (life.home / "config.sh").unlink()
    assert f"RUNNER_HOME: {life.home} holds no config.sh" in refusal(life, simulator)


def test_home_that_the_user_cannot_write_to(life: Life, simulator: Simulator) -> None:
    """A home that the user cannot write to is refused: the listener would abort with 134."""
    os.chown(life.home, 0, 0)
    assert f"RUNNER_HOME: {USER} cannot write to {life.home}" in refusal(life, simulator)


def test_home_below_a_closed_directory(life: Life, simulator: Simulator) -> None:
    """A parent directory that the user may not enter is named in the error."""
    life.directory.chmod(0o700)
    assert f"RUNNER_HOME: {USER} cannot write to {life.home}" in refusal(life, simulator)


def test_work_folder_that_is_read_only(life: Life, simulator: Simulator) -> None:
    """A read-only work folder is refused before config.sh would register."""
    work = life.directory / "work"
    work.mkdir()
    shutil.chown(work, USER)
    mount = 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && exec "$@"'
    namespace = ["unshare", "--mount", "sh", "-c", mount, str(work), *NAMESPACE]
    life.start(RUNNER_WORKDIR=str(work), namespace=namespace)
    assert life.wait() == 78, life.output
    assert f"RUNNER_WORKDIR: {USER} cannot write to {work}" in life.error()
    assert simulator.requests() == []


def test_work_folder_of_somebody_else(life: Life, simulator: Simulator) -> None:
    """If the work folder belongs to root, the error names the user that cannot write to it."""
    work = life.directory / "work"
    work.mkdir(mode=0o755)
    (work / "kept").touch()
    error = refusal(life, simulator, RUNNER_WORKDIR=str(work))
    assert f"RUNNER_WORKDIR: {USER} cannot write to {work}; it belongs to uid 0" in error


def test_work_folder_that_cannot_be_made(life: Life, simulator: Simulator) -> None:
    """A work folder below a file is refused, because it cannot be made."""
    work = life.home / "config.sh" / "work"
    error = refusal(life, simulator, RUNNER_WORKDIR=str(work))
    assert f"RUNNER_WORKDIR: {work} cannot be made: Not a directory" in error


def test_work_folder_that_is_a_file(life: Life, simulator: Simulator) -> None:
    """A file in the work folder's place is refused."""
    (life.home / "_work").write_text("")
    assert f"RUNNER_WORKDIR: {life.home}/_work" in refusal(life, simulator)


def test_work_folder_is_made(life: Life, simulator: Simulator) -> None:
    """A missing folder is made with its parents, and belongs to the user."""
    work = life.directory / "volume" / "work"
    job = simulator.queue_job("pwd")
    assert life.start(RUNNER_WORKDIR=str(work)).wait() == 0, life.output
    assert work.owner() == USER
    assert str(work) in simulator.job(job["id"])["log"]


def test_every_problem_is_told_at_once(life: Life, simulator: Simulator) -> None:
    """One message has all problems of home and work folder."""
    os.chown(life.home, 0, 0)
    error = refusal(life, simulator, RUNNER_WORKDIR="/proc/work")
    assert "RUNNER_HOME: " in error
    assert "RUNNER_WORKDIR: " in error


def test_config_command_has_no_token() -> None:
    """The arguments of config.sh are complete, and public."""
    words = program.config_command(
        settings(labels=("a", "b c"), group="G", workdir="w", no_default_labels=True), "n-1"
    )
    assert words == [
        "/home/runner/config.sh",
        *("--unattended", "--replace"),
        *("--url", "https://github.com/acme/shop"),
        *("--name", "n-1"),
        *("--work", "w"),
        *("--labels", "a,b c"),
        *("--runnergroup", "G"),
        *("--ephemeral", "--disableupdate", "--no-default-labels"),
    ]


def test_config_command_without_options() -> None:
    """Empty options are left out, because config.sh takes an empty label for a label."""
    words = program.config_command(settings(ephemeral=False, disable_update=False), "n-1")
    assert not {"--labels", "--runnergroup", "--ephemeral", "--disableupdate"} & set(words)


def test_environment_of_the_listener() -> None:
    """The listener gets no variable of gh-runner, all others, and the user's HOME."""
    ours = dict.fromkeys([*variables(), *SECRETS, *(f"{s}_FILE" for s in SECRETS)], "x")
    user = account.require(USER)
    container = {**ours, "HTTPS_PROXY": "p", "HOME": "/root"}
    env = program.environment(program.base_environment(container, settings()), user)
    assert not set(ours) & set(env)
    assert env["HTTPS_PROXY"] == "p"
    assert (env["HOME"], env["USER"], env["LOGNAME"]) == (user.home, USER, USER)


@pytest.mark.parametrize("command", ["run", "check"])
def test_jobs_as_root_are_asked_for(life: Life, simulator: Simulator, command: str) -> None:
    """For jobs as root the error says what to set; GitHub's scripts only refuse."""
    life.start(command, RUNNER_USER="root")
    assert life.wait() == 78, life.output
    assert "RUNNER_ALLOW_RUNASROOT=1" in life.output
    assert simulator.runners() == []
