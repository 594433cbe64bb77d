"""Many runners that start at the same moment."""

import pytest

from bench import fleet
from simulator import Simulator

pytestmark = [pytest.mark.exhaustive, pytest.mark.timeout(900)]


def test_two_hundred_starts(simulator: Simulator) -> None:
    """Under GitHub's secondary limits all of them listen in the end; some start again after 75."""
    fleet.herd(simulator, 200)


def test_figures(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """`make fleet` prints all its tables."""
    monkeypatch.setattr(fleet, "SIDE_BY_SIDE", 3)
    monkeypatch.setattr(fleet, "HERD", 3)
    fleet.run()
    printed = capsys.readouterr().out
    assert "3 side by side, jit" in printed
    assert "config, App, installation looked for" in printed
    assert "3 starts at once" in printed
