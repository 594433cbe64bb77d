"""The settings: frozen, without a secret, passed from a child to PID 1."""

import json

from entrypoint.settings.schema import Settings
from tests.support.settings import parse
from tests.unit.settings.test_rules import LEAST


def test_settings_hold_no_secret() -> None:
    """The settings that PID 1 keeps contain no credential."""
    parsed = parse({"GITHUB_OWNER": "acme", "GITHUB_PERSONAL_TOKEN": "hunter2"})
    assert "hunter2" not in repr(parsed)


def test_settings_survive_json() -> None:
    """PID 1 gets the settings from a child as JSON, and they are the same."""
    parsed = parse({**LEAST, "RUNNER_LABELS": "a,b", "RUNNER_IDLE_TIMEOUT": "5"})
    carried = json.loads(json.dumps(parsed._asdict()))
    assert Settings.restore(carried) == parsed


def test_workdir_path() -> None:
    """A relative work folder is below the runner's directory, as for the listener."""
    assert parse(LEAST).workdir_path == "/home/runner/_work"
    assert parse({**LEAST, "RUNNER_WORKDIR": "/w"}).workdir_path == "/w"
