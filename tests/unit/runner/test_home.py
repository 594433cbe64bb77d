"""The runner's directory and its record, which a job may have forged."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from entrypoint.runner import home


@pytest.mark.parametrize(
    ("name", "content"),
    [
        (".runner", "\ufeff" + json.dumps({"agentId": 7})),
        (".runner", json.dumps({"AgentId": "7"})),
        (".runner_migrated", json.dumps({"agentId": 7})),
    ],
)
def test_registration_is_read_as_it_is_written(tmp_path: Path, name: str, content: str) -> None:
    """The record has a byte order mark or none; it is from config.sh or from JIT."""
    (tmp_path / name).write_text(content)
    record = home.record(str(tmp_path))
    assert record is not None
    assert record.id == 7


@pytest.mark.parametrize("content", [None, "", "[]", "{", "\x00", "[" * 100_000], ids=repr)
def test_registration_that_is_none(tmp_path: Path, content: str | None) -> None:
    """A record that is missing or torn counts as none, without a traceback."""
    if content is not None:
        (tmp_path / ".runner").write_text(content)
    assert home.record(str(tmp_path)) is None


def test_registration_that_is_no_file(tmp_path: Path) -> None:
    """If a job puts something else in its place, PID 1 neither waits nor reads without end."""
    (tmp_path / ".runner_migrated").symlink_to("/dev/zero")
    os.mkfifo(tmp_path / ".runner")
    assert home.record(str(tmp_path)) is None
