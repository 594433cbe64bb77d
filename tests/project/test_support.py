"""The workflows do what docs/support.md promises."""

from __future__ import annotations

import re

import pytest
import yaml

from release.findings import LONGEST
from release.support import MAJOR, MINOR
from tests.release.command import ROOT

DOCS = ROOT / "docs"
PAGE = (DOCS / "support.md").read_text()
CI = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())
_ROW = re.compile(r"^\|(.*)\|(.*)\|(.*)\|(.*)\|$", re.MULTILINE)


def rows() -> list[tuple[str, str]]:
    """Return the rows of the matrix: a version, and its column "tested by"."""
    matrix = PAGE.partition("| what | version |")[2].partition("\n\n")[0]
    cells = [[cell.strip() for cell in row] for row in _ROW.findall(matrix)]
    return [(f"{what} {version}", tested) for what, version, tested, _ in cells if tested]


@pytest.mark.parametrize(("what", "tested"), rows())
def test_what_tests_it_is_there(what: str, tested: str) -> None:
    """The column "tested by" names jobs and workflows that exist, or says "nobody"."""
    assert what
    if tested in {"---", "nobody"}:
        return
    for word, names in re.findall(r"(CI|build|by hand)(?: \(([^)]*)\))?", tested):
        found = re.findall(r"`([^`]+)`", names)
        if word == "CI":
            assert found
            assert set(found) <= CI["jobs"].keys()
        for name in found if word == "by hand" else ["images.yml"]:
            assert (ROOT / ".github/workflows" / name).exists()
    assert re.sub(r"(CI|build|by hand)( \([^)]*\))?", "", tested).strip(" ,") == ""


def test_the_matrix_is_read() -> None:
    """The function that reads the matrix has found its rows."""
    assert len(rows()) > 15


def test_days() -> None:
    """The times in the documents are those of the code: rebuilds, and excepted findings."""
    for days, words in ((MINOR.days, "minor version before it"), (MAJOR.days, "major version bef")):
        (line,) = (line for line in PAGE.splitlines() if words in line and line.startswith("|"))
        assert f"{days} days after" in line
    assert f"at most {LONGEST.days} days away" in (DOCS / "releasing.md").read_text()


def test_a_life_on_arm64_is_a_job_of_its_own() -> None:
    """CI has a job that runs tests and image on an arm64 machine."""
    job = CI["jobs"]["arm64"]
    assert job["runs-on"].endswith("-arm")
    assert any("make test test-image" in step.get("run", "") for step in job["steps"])
