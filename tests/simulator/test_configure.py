"""The stand-in's config.sh registers as the real one does."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any

import pytest

from simulator import Simulator
from tests.simulator.home import URL, RunnerHome, finish

Make = Callable[..., RunnerHome]


def test_a_registration_leaves_its_record(simulator: Simulator, home: RunnerHome) -> None:
    """The server lists the runner; both JSON files begin with a byte order mark."""
    code, output = home.configure("--ephemeral", "--disableupdate", "--work", "_jobs")
    assert code == 0
    for line in ("√ Connected to GitHub", "√ Runner successfully added", "√ Settings Saved."):
        assert line in output.splitlines()
    (runner,) = simulator.runners()
    assert (runner["name"], runner["status"], runner["ephemeral"]) == ("r", "offline", True)
    assert home.record()["agentId"] == runner["id"]
    assert home.record()["workFolder"] == "_jobs"
    assert home.files() == {".runner", ".credentials", ".credentials_rsaparams"}
    for name in (".runner", ".credentials"):
        assert (home.path / name).read_bytes().startswith(b"\xef\xbb\xbf{")
    assert (home.path / ".credentials_rsaparams").stat().st_mode & 0o777 == 0o600
    assert "LANG=C.UTF-8" in (home.path / ".env").read_text()
    assert (home.path / ".path").read_text().strip() == home.env["PATH"]


def test_labels_are_split_but_not_trimmed(simulator: Simulator, home: RunnerHome) -> None:
    """As in the real one, empty labels vanish and spaces stay."""
    home.configure("--labels", " a , b c ,,d", "--no-default-labels")
    assert [label["name"] for label in simulator.runners()[0]["labels"]] == [" a ", " b c ", "d"]


def test_one_label_too_long_drops_all(simulator: Simulator, home: RunnerHome) -> None:
    """No message tells it, as in the real one."""
    home.configure("--labels", "a," + "x" * 257)
    names = [label["name"] for label in simulator.runners()[0]["labels"]]
    assert names == ["self-hosted", "Linux", "X64"]


def test_arguments_come_from_the_environment(simulator: Simulator, home: RunnerHome) -> None:
    """ACTIONS_RUNNER_INPUT_… stands for an argument or a flag."""
    prefix = "ACTIONS_RUNNER_INPUT_"
    env = {prefix + "TOKEN": home.token(), prefix + "NAME": "e", prefix + "EPHEMERAL": "true"}
    assert home.run("config.sh", "--unattended", "--url", URL, env=env)[0] == 0
    assert (simulator.runners()[0]["name"], simulator.runners()[0]["ephemeral"]) == ("e", True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--url", URL], "Invalid configuration provided for token."),
        (["--url", URL, "--token", ""], "Invalid configuration provided for token."),
        (["--token", "x"], "Invalid configuration provided for url."),
        (["--token", "x", "--url", "https://github.com/a/b/c"], "should point to an org"),
    ],
)
def test_what_is_missing_is_named(home: RunnerHome, arguments: list[str], message: str) -> None:
    """config.sh ends with 1 before it asks the server anything."""
    code, output = home.run("config.sh", "--unattended", *arguments)
    assert code == 1
    assert message in output
    assert "finished with return code 1" in home.trace()


def test_an_unknown_argument_is_named_and_ignored(home: RunnerHome) -> None:
    """config.sh goes on, as the real one does."""
    code, output = home.configure("--nonsense", "x")
    assert code == 0
    assert "Unrecognized command-line input arguments for command configure: 'nonsense'" in output


def test_the_version_is_told(home: RunnerHome) -> None:
    """--version and --help do nothing else."""
    assert home.run("config.sh", "--version") == (0, "2.336.0\n")
    code, output = home.configure("--help")
    assert (code, "./config.sh remove" in output) == (0, True)
    assert ".runner" not in home.files()


def test_a_host_of_its_own_is_an_enterprise_server(simulator: Simulator, home: RunnerHome) -> None:
    """Any host but GitHub's has its API below /api/v3, or GITHUB_ACTIONS_RUNNER_FORCE_GHES."""
    assert home.configure("--url", f"{simulator.url}/acme/shop")[0] == 0
    env = {"GITHUB_ACTIONS_RUNNER_FORCE_GHES": "1"}
    assert home.run("config.sh", "remove", "--token", home.token("remove"), env=env)[0] == 0
    paths = [entry["path"] for entry in simulator.requests() if entry["scheme"] == "remoteauth"]
    assert paths
    assert all(path.startswith("/api/v3/") for path in paths)


def test_root_is_refused(home: RunnerHome) -> None:
    """RUNNER_ALLOW_RUNASROOT lets root in."""
    assert home.configure(root=True) == (1, "Must not run with sudo\n")
    assert home.configure(root=True, env={"RUNNER_ALLOW_RUNASROOT": "1"})[0] == 0


def test_a_configured_runner_is_not_configured_again(home: RunnerHome) -> None:
    """One file, of the old name or the new, is enough to refuse."""
    (home.path / ".runner_migrated").write_text("{}")
    code, output = home.configure()
    assert code == 1
    assert "Cannot configure the runner because it is already configured" in output


@pytest.mark.parametrize("token", ["A-WRONG-TOKEN", "expired", "remove", "foreign"])
def test_a_token_that_is_no_good_is_not_found(
    simulator: Simulator, home: RunnerHome, token: str
) -> None:
    """A token that is unknown, expired, of another kind or repository: 404, and no retry."""
    if token == "expired":
        token = home.token()
        simulator.expire_tokens("registration")
    elif token == "remove":
        token = home.token("remove")
    elif token == "foreign":
        token = home.post("repos/acme/other/actions/runners/registration-token")["token"]
    code, output = home.configure("--token", token)
    assert code == 1
    assert "Http response code: NotFound from 'POST " in output
    assert "/actions/runner-registration'" in output
    paths = [entry["path"] for entry in simulator.requests()]
    assert paths.count("/actions/runner-registration") == 1


@pytest.mark.parametrize(("times", "code"), [(2, 0), (3, 1)])
@pytest.mark.parametrize("fault", [{"status": 500}, {"status": 403}, {"reset": True}])
def test_trouble_is_met_with_three_tries(
    simulator: Simulator, home: RunnerHome, fault: dict[str, Any], times: int, code: int
) -> None:
    """config.sh survives two failures, and gives up after three."""
    simulator.fault(path="/runner-registration$", times=times, **fault)
    assert home.configure()[0] == code


def test_an_unknown_group_is_named(simulator: Simulator, home: RunnerHome) -> None:
    """A known group is found in any letter case."""
    code, output = home.configure("--runnergroup", "GPU")
    assert code == 1
    assert 'Could not find any self-hosted runner group named "GPU".' in output
    group = simulator.add_group("gpu")
    assert home.configure("--runnergroup", "GPU")[0] == 0
    assert simulator.runners()[0]["runner_group_id"] == group


def test_a_name_in_use_needs_replace(simulator: Simulator, make: Make) -> None:
    """With --replace the new runner takes the place of the old one."""
    make().configured()
    other = make()
    code, output = other.configure()
    assert code == 1
    assert "A runner exists with the same name r." in output
    code, output = other.configure("--replace")
    assert code == 0
    assert "√ Successfully replaced the runner" in output
    assert [runner["id"] for runner in simulator.runners()] == [2]


def test_a_lost_answer_leaves_a_runner_without_a_record(
    simulator: Simulator, home: RunnerHome
) -> None:
    """The key is written before the registration, everything else after it."""
    simulator.fault(path="/actions/runners/register$", after=True, reset=True, times=3)
    assert home.configure()[0] == 1
    assert home.files() == {".credentials_rsaparams"}
    assert len(simulator.runners()) == 1


@pytest.mark.parametrize(
    ("signum", "code"), [(signal.SIGINT, 1), (signal.SIGTERM, 143), (signal.SIGKILL, -9)]
)
def test_a_request_under_way_registers_whoever_is_killed(
    simulator: Simulator, home: RunnerHome, signum: int, code: int
) -> None:
    """The listener ends at once, and GitHub registers the runner all the same."""
    simulator.fault(path="/actions/runners/register$", hold="request")
    usual = ["configure", "--unattended", "--url", URL, "--token", home.token(), "--name", "r"]
    process = home.start("bin/Runner.Listener", *usual)
    simulator.wait_for("request", path="/actions/runners/register")
    os.kill(process.pid, signum)
    assert finish(process)[0] == code
    simulator.release("request")
    assert simulator.wait_for("runner_registered", runner="r")
    assert ".runner" not in home.files()


def test_a_signal_to_its_shell_leaves_the_listener_registering(
    simulator: Simulator, home: RunnerHome
) -> None:
    """Only the bash of config.sh dies; the registration goes on to its end."""
    simulator.fault(path="/actions/runners/register$", hold="request")
    usual = ["--unattended", "--url", URL, "--token", home.token(), "--name", "r"]
    process = home.start("config.sh", *usual)
    simulator.wait_for("request", path="/actions/runners/register")
    os.kill(process.pid, signal.SIGTERM)
    process.wait()
    simulator.release("request")
    code, output = finish(process)
    assert code == -signal.SIGTERM
    assert "√ Settings Saved." in output
    assert ".runner" in home.files()


def test_a_root_that_cannot_be_written_aborts(home: RunnerHome) -> None:
    """There is a stack trace, as of an unhandled exception of .NET."""
    home.path.chmod(0o555)
    os.chown(home.path, 0, 0)
    code, output = home.configure()
    assert code == 134
    assert "Unhandled exception. System.UnauthorizedAccessException" in output
