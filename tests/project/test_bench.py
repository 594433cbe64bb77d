"""What a run of the benchmarks writes down, and what it tells about an earlier one."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from bench import __main__ as bench
from bench import compare, report


def figures(path: Path, **medians: float) -> Path:
    """Write a file as `python -m bench --json` does."""
    table = {"measure": "start", "unit": "ms", "reference": "scripts", "medians": medians}
    path.write_text(json.dumps({"figures": [table]}))
    return path


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the comparison speak as it does on one's own machine."""
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)


def test_ratios_within_a_run_are_compared(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A machine that is twice as slow is no change; a start that costs a third more is one."""
    before = figures(tmp_path / "before", scripts=100, plain=110, jit=50)
    now = figures(tmp_path / "now", scripts=200, plain=219, jit=130)
    assert compare.main([str(before), str(now)]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "start: jit: is 0.65 of scripts, and was 0.50 (+30%)",
        "2 figures compared, 1 changed by more than 10%",
    ]


def test_less_is_told_as_well(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An improvement, too, is a change that somebody wants to know of."""
    before = figures(tmp_path / "before", scripts=100, plain=120)
    now = figures(tmp_path / "now", scripts=100, plain=105)
    compare.main([str(before), str(now)])
    assert "(-12%)" in capsys.readouterr().out


def test_what_is_new_or_gone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A figure that vanishes is told: nobody would miss it otherwise."""
    before = figures(tmp_path / "before", scripts=100, plain=120, proxy=0)
    now = figures(tmp_path / "now", scripts=100, jit=50)
    compare.main([str(before), str(now)])
    said = capsys.readouterr().out
    assert "start: jit: is 0.50 of scripts, and was not measured before" in said
    assert "start: plain: was measured before, and is not any more" in said
    assert "proxy" not in said  # a median of 0 has no ratio


def test_github_shows_changes_at_the_top(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a workflow each change is an annotation of the run."""
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    before = figures(tmp_path / "before", scripts=100, plain=100)
    compare.main([str(before), str(figures(tmp_path / "now", scripts=100, plain=150))])
    assert capsys.readouterr().out.startswith("::warning title=make bench::start: plain: ")


def test_without_an_earlier_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The first run has nothing to be compared with, and does not fail."""
    now = figures(tmp_path / "now", scripts=100, plain=110)
    assert compare.main([str(tmp_path / "before"), str(now)]) == 0
    assert "there are no earlier figures" in capsys.readouterr().out


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"figures": [1]}', '{"figures": 1}'])
def test_a_file_that_holds_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str
) -> None:
    """A torn file is an error in one line."""
    (tmp_path / "before").write_text(content)
    now = figures(tmp_path / "now", scripts=100, plain=110)
    assert compare.main([str(tmp_path / "before"), str(now)]) == 1
    said = capsys.readouterr().err
    assert len(said.splitlines()) == 1


def test_all_tables_of_a_run_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What a benchmark prints is in the file, and can be compared."""

    class Bench:
        """A benchmark that takes no time."""

        @staticmethod
        def run() -> None:
            """Print a table."""
            report.table("start", "ms", {"scripts": [3.0, 1.0, 2.0], "plain": [4.0]}, "scripts")

    monkeypatch.setattr(report, "FIGURES", [])
    monkeypatch.setitem(sys.modules, "bench.stop", Bench)
    file = tmp_path / "figures.json"
    assert bench.main(["stop", "--json", str(file)]) == 0
    assert "| plain " in capsys.readouterr().out
    assert compare.read(file) == [compare.Ratio("start", "plain", "scripts", 2.0)]
