"""docs/krun.md has the orchestrator's own help."""

from __future__ import annotations

from krunpool.options import usage

from tests.krun.conftest import ROOT

PAGE = ROOT / "docs/krun.md"
BEGIN, END = "<!-- made by `orchestrator -h`: begin -->\n", "<!-- end -->\n"


def test_the_options_are_those_of_the_program() -> None:
    """The page contains the help word by word; see below how to renew it."""
    assert renewed(PAGE.read_text()) == PAGE.read_text()


def renewed(page: str) -> str:
    """Return the page with the present help in it."""
    before, _, rest = page.partition(BEGIN)
    return f"{before}{BEGIN}\n```\n{usage()}```\n\n{END}{rest.partition(END)[2]}"


if __name__ == "__main__":  # PYTHONPATH=deploy/krun python -m tests.krun.test_document
    PAGE.write_text(renewed(PAGE.read_text()))
