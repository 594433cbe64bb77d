"""What all tests share that call functions in this process, instead of a program of its own."""

from __future__ import annotations

import pytest

from entrypoint import log, redaction


@pytest.fixture(autouse=True)
def as_a_process_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin without known secrets, and let no test change the log of the next one."""
    monkeypatch.setattr(redaction, "_pieces", set())
    monkeypatch.setattr(redaction, "_words", set())
    monkeypatch.setattr(log, "_config", {**log._config, "runner": {}})
