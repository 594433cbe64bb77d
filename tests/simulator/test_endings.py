"""The stand-in's listener starts and ends with the real one's exit codes."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from simulator import Simulator
from tests.simulator.home import RunnerHome, finish

LISTENER = "bin/Runner.Listener"
DEPRECATED = "ACTIONS_RUNNER_RETURN_VERSION_DEPRECATED_EXIT_CODE"


@pytest.mark.parametrize("how", ["argument", "environment", "files"])
def test_a_jit_configuration_is_enough(simulator: Simulator, home: RunnerHome, how: str) -> None:
    """A configuration comes in one of three ways, and makes an ephemeral runner."""
    encoded = home.jit()
    if how == "argument":
        process = home.listen("run.sh", "--jitconfig", encoded)
        assert encoded.encode() in Path(f"/proc/{home.listener}/cmdline").read_bytes()
    elif how == "environment":
        process = home.listen(env={"ACTIONS_RUNNER_INPUT_JITCONFIG": encoded})
        assert encoded.encode() in Path(f"/proc/{home.listener}/environ").read_bytes()
    else:
        home.save_jit(encoded)
        process = home.listen()
    assert home.record()["AgentName"] == "r"
    job = simulator.queue_job('echo "$ACTIONS_RUNNER_INPUT_JITCONFIG"')
    assert finish(process)[0] == 0
    assert simulator.job(job["id"])["log"] == "\n"
    assert not home.files()


def test_a_jit_runner_is_removed_by_config_sh(simulator: Simulator, home: RunnerHome) -> None:
    """config.sh remove works with the files of a JIT configuration."""
    home.save_jit(home.jit())
    assert home.run("config.sh", "remove", "--token", home.token("remove"))[0] == 0
    assert not simulator.runners()


def test_a_registration_that_is_gone_at_the_start_is_final(
    simulator: Simulator, home: RunnerHome
) -> None:
    """The listener ends with 1, and run.sh with 0; the files stay."""
    home.configured()
    simulator.delete_runner(1)
    code, output = home.run(LISTENER, "run")
    assert code == 1
    assert "The runner registration has been deleted from the server" in output
    code, output = home.run("run.sh")
    assert code == 0
    assert "Runner listener exit with terminated error" in output
    assert ".runner" in home.files()


@pytest.mark.parametrize("by_config_sh", [True, False])
def test_a_registration_that_vanishes_is_noticed_at_the_next_poll(
    simulator: Simulator, home: RunnerHome, by_config_sh: bool
) -> None:
    """The listener deletes its files and ends with 0."""
    simulator.settings(poll_seconds=0.3)
    process = home.configured().listen()
    simulator.fault(path="/_services/message", hold="next poll", times=0)
    if by_config_sh:
        home.run("config.sh", "remove", "--token", home.token("remove"))
    else:
        simulator.delete_runner(1)
    simulator.release("next poll")  # not before config.sh has deleted its files
    code, output = finish(process)
    assert code == 0
    assert "The runner no longer exists on the server." in output
    assert ("Does not exist. Skipping Removing .runner" in output) == by_config_sh
    assert not home.files()


def test_after_its_removal_a_listener_leaves_at_once(
    simulator: Simulator, home: RunnerHome
) -> None:
    """A listener that is removed first and signalled second takes no job, and ends with 0."""
    process = home.configured().listen()
    assert home.run("config.sh", "remove", "--token", home.token("remove"))[0] == 0
    job = simulator.queue_job()
    os.kill(home.listener, signal.SIGINT)
    code, output = finish(process)
    assert code == 0
    assert "Does not exist. Skipping Removing .runner" in output
    assert simulator.job(job["id"])["status"] == "queued"


@pytest.mark.parametrize(
    ("told_at", "env", "code"),
    [("poll", {}, 1), ("poll", {DEPRECATED: "1"}, 7), ("session", {DEPRECATED: "1"}, 1)],
)
def test_a_deprecated_version_is_refused(
    simulator: Simulator, home: RunnerHome, told_at: str, env: dict[str, str], code: int
) -> None:
    """A variable decides the listener's code; run.sh passes on 7 only."""
    home.configured()
    simulator.deprecate("2.336.0", told_at=told_at)
    ended, output = home.run(LISTENER, "run", env=env)
    assert ended == code
    assert "deprecated" in output or "Failed to create session. Error: Forbidden" in output
    assert home.run("run.sh", env=env)[0] == (7 if code == 7 else 0)


def test_a_revoked_token_ends_the_listener(simulator: Simulator, home: RunnerHome) -> None:
    """The listener ends with 0 although no job ran; the files stay."""
    home.configured()
    simulator.fault(path="/_services/message", status=401)
    assert home.run(LISTENER, "run")[0] == 0
    assert ".runner" in home.files()
    assert len(simulator.runners()) == 1


def test_two_sessions_conflict(home: RunnerHome) -> None:
    """The second listener gives up with 5."""
    home.configured().listen()
    code, output = home.run(LISTENER, "run")
    assert code == 5
    assert "A session for this runner already exists." in output


def test_unusable_credentials_relaunch_for_ever(simulator: Simulator, home: RunnerHome) -> None:
    """The listener ends with 2, and run.sh starts it again and again."""
    home.configured()
    (home.path / ".credentials").write_text("{}")
    process = home.start("run.sh")
    assert process.stdout is not None
    launches = 0
    while launches < 3:
        line = process.stdout.readline()
        assert line
        launches += line.startswith("Runner listener exit with retryable error, re-launch")
    assert simulator.runners()[0]["status"] == "offline"


def test_an_unusable_work_folder_ends_the_listener(simulator: Simulator, home: RunnerHome) -> None:
    """config.sh does not look at it; the listener ends with 1, and the runner stays."""
    home.configured("--work", "/proc/nothing")
    code, output = home.run(LISTENER, "run")
    assert code == 1
    assert "Fail to create and validate runner's work directory" in output
    assert len(simulator.runners()) == 1


def test_a_runner_that_is_not_configured_does_not_run(home: RunnerHome) -> None:
    """run.sh refuses root, too."""
    code, output = home.run(LISTENER, "run")
    assert (code, "Runner is not configured." in output) == (1, True)
    output = home.run("run.sh", root=True)[1]
    assert "Must not run interactively with sudo" in output


def test_the_trace_can_be_printed(home: RunnerHome) -> None:
    """ACTIONS_RUNNER_PRINT_LOG_TO_STDOUT shows on stdout what goes to _diag."""
    env = {"ACTIONS_RUNNER_PRINT_LOG_TO_STDOUT": "1"}
    output = home.run(LISTENER, "run", env=env)[1]
    assert "INFO Listener] Runner execution has finished with return code 1" in output
