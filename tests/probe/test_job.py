"""A job finds no credential, whichever way the credential came in."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.probe.cage import AS_ROOT, AS_RUNNER, DOCKER, Cage, powers
from tests.probe.looks import Result, unexpected, written
from tests.probe.needles import APP_ID, of_app
from tests.support.life import Life, until

WAYS = ["environment", "env file", "file"]


@pytest.fixture
def cage(new_life: Callable[..., Life]) -> Cage:
    """A cage with a runner without start-up times."""
    return Cage(new_life())


def given(cage: Cage, way: str, variable: str, secret: str) -> dict[str, str]:
    """Return the settings by which a secret comes in; its file is readable for all."""
    path = cage.life.directory / "secret"
    if way == "environment":
        return {variable: secret}
    path.write_text(f"{variable}='{secret}'\n" if way == "env file" else f"{secret}\n")
    setting = "RUNNER_ENVFILE" if way == "env file" else f"{variable}_FILE"
    return {"GITHUB_PERSONAL_TOKEN": "", setting: str(path)}


@pytest.mark.parametrize("way", WAYS)
def test_personal_token(cage: Cage, way: str) -> None:
    """Neither the user nor root finds the token or a registration token."""
    cage.start(**given(cage, way, "GITHUB_PERSONAL_TOKEN", cage.token)).idle()
    assert {"PAT", "registration token 0", "runner key"} <= cage.needles.keys()
    looks = [cage.look(AS_RUNNER), cage.look(AS_ROOT), *cage.probed()]
    assert unexpected(looks) == set()


@pytest.mark.parametrize("way", WAYS)
def test_app(cage: Cage, way: str) -> None:
    """Neither the key of an App nor a token of its installation is found."""
    key, secrets = of_app(cage.simulator)
    cage.needles |= secrets
    env = given(cage, way, "GITHUB_APP_PRIVATE_KEY", key)
    cage.start(**{"GITHUB_PERSONAL_TOKEN": "", **env}, GITHUB_APP_ID=str(APP_ID)).idle()
    assert {"App key", "installation token 0"} <= cage.needles.keys()
    looks = cage.probed()
    assert unexpected(looks) == set()


def test_jit(cage: Cage) -> None:
    """The JIT configuration is in no argv, no environment and no other process's memory."""
    cage.start(RUNNER_REGISTRATION="jit").idle()
    assert "JIT configuration" in cage.needles
    for name in (".runner", ".credentials", ".credentials_rsaparams"):
        assert (cage.life.home / name).stat().st_mode & 0o777 == 0o600
    looks = [cage.look(AS_RUNNER), *cage.probed()]
    assert unexpected(looks) == set()


def test_beside_a_health_check(cage: Cage) -> None:
    """A job cannot look into what the engine starts with the token in its environment."""
    cage.start().idle()
    with cage.inside(*powers(*DOCKER), "sleep", "60", GITHUB_PERSONAL_TOKEN=cage.token):
        until(lambda: "sleep" in cage.life.inside().values())
        looks = cage.probed()
    assert unexpected(looks) == set()


def test_what_is_left_of_a_job_during_the_removal(cage: Cage) -> None:
    """A process that outlives its job finds nothing while the runner is removed."""
    looked, stop = cage.life.directory / "looked", cage.life.directory / "stop"
    looked.touch(mode=0o666)
    looked.chmod(0o666)
    cage.start("sys_ptrace").idle()
    cage.simulator.fault(method="GET", path="/actions/runners/1", hold="look", times=0)
    command = " ".join(cage.command("--until", str(stop)))
    cage.simulator.queue_job(f"setsid {command} >{looked} & echo begun; exec sleep 60")
    until(lambda: written(looked))
    cage.life.signal()
    cage.simulator.wait_for("request", method="GET", path="/actions/runners/1")
    asked = time.time()
    until(lambda: any(look.began > asked for look in written(looked)))
    cage.simulator.release("look")
    stop.touch()
    assert cage.life.wait() == 143, cage.life.output
    looks = written(looked)
    assert unexpected(looks) == set()


def test_during_the_removal_of_an_idle_runner(cage: Cage) -> None:
    """Only config.sh has the remove-token, and there is no job that could look."""
    cage.start(RUNNER_STOP_TIMEOUT="60").idle()
    cage.simulator.fault(method="DELETE", path="/actions/runners/1", hold="removal")
    cage.life.signal()
    cage.simulator.wait_for("request", method="DELETE", path="/actions/runners/1")
    cage.idle()
    root, runner = cage.look(AS_ROOT), cage.look(AS_RUNNER)
    cage.simulator.release("removal")
    assert unexpected([root]) == set()
    known = {(name, place) for name, place in runner.found if name == "remove token 0"}
    assert {re.sub(".* of ", "", place) for _name, place in known} <= {
        "config.sh",
        "Runner.Listener",
    }
    assert {name for name, _place in runner.found - known} <= {"runner key"}
    assert cage.life.wait() == 143


def test_environment_of_a_job(cage: Cage) -> None:
    """A job gets the variables that a user has set, and none of gh-runner."""
    cage.start(RUNNER_LABELS="a", NO_PROXY="x", JAVA_HOME="/j", RUNNER_SUDO="1").idle()
    job = cage.simulator.queue_job("env")
    assert cage.life.wait() == 0
    names = re.findall(r"^(\w+)=", cage.simulator.job(job["id"])["log"], re.MULTILINE)
    assert {"NO_PROXY", "JAVA_HOME"} <= set(names)
    ours = [name for name in names if name.startswith(("GH_RUNNER", "GITHUB_P", "GITHUB_O"))]
    assert ours == []
    assert not {"RUNNER_SUDO", "RUNNER_LABELS", "RUNNER_HOME", "GITHUB_API_URL"} & set(names)


def test_descriptors_of_the_listener(cage: Cage) -> None:
    """run.sh has stdin, stdout and stderr, and no descriptor of gh-runner."""
    cage.start().idle()
    folder = Path(f"/proc/{cage.life.pid_of('run.sh')}/fd")
    # bash keeps its script open, above 10.
    assert {name.name for name in folder.iterdir()} - {"255"} == {"0", "1", "2"}


def arriving(cage: Cage, code: int = 0, **env: str) -> list[Result]:
    """Return what a job finds that arrives while config.sh removes the idle runner."""
    cage.simulator.fault(method="DELETE", path="/actions/runners/1", hang=True)
    # A real job takes longer than the simulator's between its worker and its first step.
    hook = cage.life.directory / "hook.sh"
    hook.write_text("sleep 0.3\n")
    cage.life.env |= {"ACTIONS_RUNNER_HOOK_JOB_STARTED": str(hook), "RUNNER_DRAIN_TIMEOUT": "30"}
    cage.life.env["RUNNER_STOP_TIMEOUT"] = "20"  # config.sh has a quarter of it
    cage.start(**env).idle()
    cage.life.signal()
    cage.simulator.wait_for("request", method="DELETE", path="/actions/runners/1")
    cage.idle()
    assert "remove token 0" in cage.needles
    return cage.probed(code)


@pytest.mark.parametrize("credential", ["until-exit", "until-job"])
def test_job_that_arrives_during_the_removal(cage: Cage, credential: str) -> None:
    """config.sh, which has a remove-token, is ended before the first step of the job."""
    looks = arriving(cage, RUNNER_CREDENTIAL=credential)
    assert unexpected(looks) == set()


def test_runner_that_stays_is_not_removed_by_config_sh(cage: Cage) -> None:
    """A runner with a second job may have a process of the first: no token is shown."""
    looked = cage.life.directory / "looked"
    looked.touch()
    looked.chmod(0o666)
    cage.start(RUNNER_EPHEMERAL="0").idle()
    command = " ".join(cage.command("--until", "/never"))
    cage.simulator.queue_job(
        f"setsid {command} >{looked} & while [ ! -s {looked} ]; do sleep 0.1; done"
    )
    cage.simulator.wait_for("request", path="/completejob")
    until(lambda: "Runner.Worker" not in cage.life.inside().values())
    cage.life.signal()
    assert cage.life.wait() == 143, cage.life.output
    assert "remove" not in cage.simulator.tokens()
    looks = written(looked)
    assert looks
    assert unexpected(looks) == set()
