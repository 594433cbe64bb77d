"""The documentation says what the code does."""

import ast
import re
from pathlib import Path

import pytest

from entrypoint.commands.settings import template
from entrypoint.settings.schema import variables
from scripts import documents

PAGES = sorted(
    path
    for path in documents.ROOT.rglob("*.md")
    if not any(part.startswith(".") or part == "node_modules" for part in path.parts[:-1])
    or ".github" in path.parts
)


def test_readme_has_the_tables_of_the_code() -> None:
    """Settings, credentials and exit codes in the README are those of the code."""
    page = documents.README.read_text()
    assert documents.with_tables(page) == page, "run python -m scripts.documents"


def test_every_setting_is_documented_once() -> None:
    """docs/settings.md has each setting, in one group."""
    page = documents.SETTINGS.read_text()
    assert documents.all_settings(page) == page, "run python -m scripts.documents"
    told = [name for names in documents.GROUPS.values() for name in names.split()]
    assert sorted(told) == sorted(variables())


LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(documents.ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    """Each link to a file of this repository finds it, and the heading after #."""
    broken = []
    for target in LINK.findall(page.read_text()):
        path, _, heading = target.partition("#")
        if "://" in path or path.startswith("mailto:"):
            continue
        file = (page.parent / path).resolve() if path else page
        if not file.exists() or (heading and file.suffix == ".md" and heading not in anchors(file)):
            broken.append(target)
    assert broken == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(documents.ROOT)))
def test_named_modules_exist(page: Path) -> None:
    """Each `….py` that a page names is the end of the path of a file."""
    named = re.findall(r"`([\w./-]+\.py)`", page.read_text())
    paths = [str(path) for path in documents.ROOT.glob("[a-z]*/**/*.py")]
    assert [name for name in named if not any(path.endswith(f"/{name}") for path in paths)] == []


def anchors(page: Path) -> set[str]:
    """Return the anchors that GitHub makes of a page's headings."""
    titles = re.findall(r"^#+ +(.+)$", page.read_text(), re.MULTILINE)
    plain = (re.sub(r"[^\w\- ]", "", re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", t)) for t in titles)
    return {title.strip().lower().replace(" ", "-") for title in plain}


def test_the_page_on_ecs_has_the_tables_of_the_action() -> None:
    """Inputs and outputs in docs/ecs.md are those of action.yml."""
    page = documents.ECS.read_text()
    assert documents.ecs_with_tables(page) == page, "run python -m scripts.documents"


def test_migrating_has_the_variables_of_the_code() -> None:
    """docs/migrating.md has the table from which variables are translated."""
    assert documents.MIGRATING.read_text() == documents.migrating(), (
        "run python -m scripts.documents"
    )


def test_the_sample_is_what_the_program_prints() -> None:
    """`gh-runner settings --template` prints .env-example."""
    assert documents.SAMPLE.read_text() == template(), "run python -m scripts.documents"


def said() -> str:
    """Return all texts of the program as one; adjacent literals are joined."""
    texts = []
    for path in (documents.ROOT / "entrypoint").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.JoinedStr):
                parts = (n.value if isinstance(n, ast.Constant) else "\0" for n in node.values)
                texts.append("".join(map(str, parts)))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                texts.append(node.value)
    return "\n".join(texts)


def test_quoted_messages_exist() -> None:
    """The messages that "My runner does nothing" quotes are messages of the program."""
    page = documents.TROUBLESHOOTING.read_text().partition("# My runner does nothing")[2]
    quoted = [q for q in re.findall(r"`([^`]+)`", page) if " " in q and not q.startswith("RUNNER_")]
    assert len(quoted) > 5
    program = said()
    pieces = [piece.strip(" '") for quote in quoted for piece in re.split("…", quote)]
    known = ("gh-runner", "docker ")
    missing = [p for p in pieces if p and p not in program and not p.startswith(known)]
    assert missing == []
