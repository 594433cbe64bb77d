"""The stand-in's config.sh remove takes runners off the list as the real one does."""

from __future__ import annotations

import pytest

from simulator import Simulator
from tests.simulator.home import RunnerHome


@pytest.mark.parametrize("kind", ["remove", "registration"])
def test_a_runner_is_removed(simulator: Simulator, home: RunnerHome, kind: str) -> None:
    """A token of either kind removes it; the identity files go, and the rest stays."""
    home.configured()
    code, output = home.run("config.sh", "remove", "--token", home.token(kind))
    assert code == 0
    for line in ("√ Runner removed successfully", "√ Removed .credentials", "√ Removed .runner"):
        assert line in output.splitlines()
    assert not simulator.runners()
    assert not home.files()
    assert (home.path / "svc.sh").exists()


def test_remove_knows_no_unattended(home: RunnerHome) -> None:
    """config.sh says so, goes on and succeeds."""
    home.configured()
    code, output = home.run("config.sh", "remove", "--unattended", "--token", home.token("remove"))
    assert code == 0
    assert "Unrecognized command-line input arguments for command remove: 'unattended'" in output


def test_a_pat_is_exchanged_for_a_token(simulator: Simulator, home: RunnerHome) -> None:
    """With --pat config.sh asks for the token itself."""
    home.configured()
    assert home.run("config.sh", "remove", "--pat", "ghp_simulator")[0] == 0
    assert not simulator.runners()


@pytest.mark.parametrize("gone", [True, False])
def test_a_removal_that_is_not_found_keeps_the_files(
    simulator: Simulator, home: RunnerHome, gone: bool
) -> None:
    """The answer is the same for a runner that is gone and for an expired token."""
    home.configured()
    token = home.token("remove")
    if gone:
        simulator.delete_runner(1)
    else:
        simulator.expire_tokens("remove")
    code, output = home.run("config.sh", "remove", "--token", token)
    assert code == 1
    assert "Http response code: NotFound from 'DELETE " in output
    assert "Failed: Removing runner from the server" in output
    assert ".runner" in home.files()


def test_without_its_files_nothing_is_removed(simulator: Simulator, home: RunnerHome) -> None:
    """config.sh succeeds, and the runner stays registered."""
    home.configured()
    (home.path / ".credentials").unlink()
    code, output = home.run("config.sh", "remove", "--token", home.token("remove"))
    assert code == 0
    assert "Skipping removing runner from the server." in output
    assert "Does not exist. Skipping Removing .credentials" in output
    assert len(simulator.runners()) == 1


def test_local_removes_the_files_only(simulator: Simulator, home: RunnerHome) -> None:
    """With --local the server is not asked."""
    home.configured()
    assert home.run("config.sh", "remove", "--local")[0] == 0
    assert ".runner" not in home.files()
    assert len(simulator.runners()) == 1


def test_a_busy_runner_is_not_removed(home: RunnerHome) -> None:
    """config.sh tries three times, and gets 422 each time."""
    home.configured().work("sleep 60")
    code, output = home.run("config.sh", "remove", "--token", home.token("remove"))
    assert code == 1
    assert output.count("Http response code: UnprocessableEntity from 'DELETE ") == 3
    assert "is currently running a job and cannot be deleted" in output
    assert ".runner" in home.files()
