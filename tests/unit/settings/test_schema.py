"""The settings: frozen, and without a secret."""

from tests.support.settings import parse
from tests.unit.settings.test_rules import LEAST


def test_settings_hold_no_secret() -> None:
    """The settings that PID 1 keeps contain no credential."""
    parsed = parse({"GITHUB_OWNER": "acme", "GITHUB_PERSONAL_TOKEN": "hunter2"})
    assert "hunter2" not in repr(parsed)


def test_workdir_path() -> None:
    """A relative work folder is below the runner's directory, as for the listener."""
    assert parse(LEAST).workdir_path == "/home/runner/_work"
    assert parse({**LEAST, "RUNNER_WORKDIR": "/w"}).workdir_path == "/w"
