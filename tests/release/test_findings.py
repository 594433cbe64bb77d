"""How a scanner's report is judged before a release."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from release.findings import EXCEPTIONS
from tests.release.command import ROOT, attempt, refuses

TODAY = "2026-11-27"


def match(name: str = "libfoo", *, fix: str = "fixed", **changes: Any) -> dict[str, Any]:
    """Return one finding in Grype's format."""
    return {
        "vulnerability": {
            "id": changes.get("id", "GHSA-aaaa"),
            "severity": changes.get("severity", "High"),
            "fix": {"versions": ["1.1"] if fix == "fixed" else [], "state": fix},
        },
        "relatedVulnerabilities": [{"id": "CVE-2026-1"}],
        "artifact": {
            "name": name,
            "version": "1.0",
            "type": "deb",
            "locations": [
                {"path": path} for path in changes.get("paths", ["/var/lib/dpkg/status"])
            ],
        },
    }


Judge = Callable[..., tuple[int, str]]


@pytest.fixture
def judge(tmp_path: Path) -> Judge:
    """Judges a report with some exceptions; returns exit code and output."""

    def run(matches: list[dict[str, Any]], *exceptions: str) -> tuple[int, str]:
        report, file = tmp_path / "report.json", tmp_path / "exceptions.toml"
        report.write_text(json.dumps({"matches": matches}))
        file.write_text("".join(f"[[exception]]\n{text}\n" for text in exceptions))
        words = [str(report), "--exceptions", str(file), "--today", TODAY]
        done = attempt("findings", *words)
        return done.returncode, done.stdout + done.stderr

    return run


def exception(what: str, until: str = "2026-12-31", reason: str = '"Why."') -> str:
    """Return the lines of an exception."""
    return f"{what}\nuntil = {until}\nreason = {reason}"


def test_nothing_was_found(judge: Judge) -> None:
    """An image without findings passes."""
    code, said = judge([])
    assert (code, said) == (0, "0 findings: 0 without a fix, 0 excepted, 0 to be fixed\n")


def test_what_can_be_fixed_has_to_be(judge: Judge) -> None:
    """A finding with a fix is an error that names the fixed version; the worst comes first."""
    code, said = judge([match("small", severity="Low"), match("big", severity="Critical")])
    assert code == 1
    assert said.splitlines()[:2] == [
        "Critical: GHSA-aaaa in big 1.0, fixed in 1.1",
        "Low: GHSA-aaaa in small 1.0, fixed in 1.1",
    ]
    assert "findings: 2 findings can be fixed" in said


@pytest.mark.parametrize("state", ["not-fixed", "wont-fix", "unknown", ""])
def test_what_nobody_has_fixed_is_counted_only(judge: Judge, state: str) -> None:
    """A finding without a fix is counted, and does not prevent the release."""
    code, said = judge([match(fix=state)])
    assert code == 0
    assert "1 without a fix" in said


@pytest.mark.parametrize(
    "what",
    [
        'id = "GHSA-aaaa"',
        'id = "CVE-2026-1"',
        'package = "libfoo"',
        'path = "/var/lib/*"',
        'id = "CVE-2026-1"\npackage = "libfoo"\npath = "/var/*"',
    ],
)
def test_an_exception(judge: Judge, what: str) -> None:
    """An exception is by id or alias, by package, by path, or by several of them."""
    code, said = judge([match()], exception(what))
    assert (code, "1 excepted" in said) == (0, True)


@pytest.mark.parametrize(
    "what",
    [
        'id = "CVE-2026-2"',
        'package = "libbar"',
        'path = "/home/*"',
        'id = "CVE-2026-1"\npackage = "libbar"',
    ],
)
def test_an_exception_for_something_else(judge: Judge, what: str) -> None:
    """Every member of an exception has to match."""
    code, said = judge([match()], exception(what))
    assert code == 1
    assert "no longer needed: " in said


def test_every_place_has_to_fit(judge: Judge) -> None:
    """If a package is in several places, an exception has to match each of them."""
    paths = ["/home/runner/externals/a", "/opt/b"]
    assert judge([match(paths=paths)], exception('path = "/home/runner/*"'))[0] == 1
    assert judge([match(paths=[])], exception('path = "/home/runner/*"'))[0] == 1


def test_the_last_day_of_an_exception(judge: Judge) -> None:
    """An exception holds until the end of its last day, which is announced before."""
    code, said = judge([match()], exception('id = "CVE-2026-1"', until=TODAY))
    assert code == 0
    assert f"note: ends soon: CVE-2026-1 until {TODAY} (Why.)" in said


def test_an_exception_that_has_ended(judge: Judge) -> None:
    """The day after its exception has ended, the finding is an error, which says so."""
    code, said = judge([match()], exception('id = "CVE-2026-1"', until="2026-11-26"))
    assert code == 1
    assert "fixed in 1.1; its exception ended on 2026-11-26" in said


def test_one_that_lasts_is_enough(judge: Judge) -> None:
    """An ended exception does not cancel another one that still holds."""
    ended = exception('id = "CVE-2026-1"', until="2026-11-26")
    assert judge([match()], ended, exception('package = "libfoo"'))[0] == 0


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('id = "X"\nreason = "Why."', "`until` has to be a day"),
        (exception('id = "X"', until='"soon"'), "`until` has to be a day"),
        (exception('id = "X"', until="2026-11-27T00:00:00Z"), "`until` has to be a day"),
        (exception('id = "X"', until="2027-02-26"), "more than 90 days from now"),
        (exception('id = "X"', reason='" "'), "`reason` is missing"),
        (exception(""), "one of `id`, `package` and `path`"),
        (exception('id = "X"\nversion = "1"'), "unknown: version"),
    ],
)
def test_an_exception_without_end_or_reason(judge: Judge, text: str, problem: str) -> None:
    """An exception without an end or a reason is an error, even without findings."""
    code, said = judge([], exception('id = "Y"'), text)
    assert code == 1
    assert "exception 2: " in said
    assert problem in said


@pytest.mark.parametrize("report", ["", "{}", '{"matches": [{}]}', '{"matches": null}', "[]"])
def test_no_report(tmp_path: Path, report: str) -> None:
    """A scan that failed is an error."""
    path = tmp_path / "report.json"
    path.write_text(report)
    assert "is no report of Grype's" in refuses("findings", str(path), "--today", TODAY)


def test_our_own_exceptions_are_well_formed(tmp_path: Path) -> None:
    """The exceptions in this repository have an end and a reason."""
    path = tmp_path / "report.json"
    path.write_text('{"matches": []}')
    done = attempt("findings", str(path), "--exceptions", str(ROOT / EXCEPTIONS))
    assert done.returncode == 0, done.stderr
