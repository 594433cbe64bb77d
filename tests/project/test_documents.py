"""The documentation says what the code does."""

import ast
import re
from pathlib import Path

import pytest

from entrypoint.settings.schema import variables
from scripts import documents

PAGES = sorted(
    path
    for path in documents.ROOT.rglob("*.md")
    if not any(part.startswith(".") or part == "node_modules" for part in path.parts[:-1])
    or ".github" in path.parts
)


GENERATED = documents.generated()


@pytest.mark.parametrize("file", GENERATED, ids=lambda file: file.name)
def test_what_is_made_from_code_is_up_to_date(file: Path) -> None:
    """Settings, exit codes, refusals, variables and options in the documents are the code's."""
    assert file.read_text() == GENERATED[file], "run python -m scripts.documents"


def test_every_setting_is_documented_once() -> None:
    """docs/settings.md has each setting, in one group."""
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


# GitHub's words, and those of its runner and of Docker: nothing in entrypoint/ says them.
OF_OTHERS = {"Bad credentials", "Not Found", "Listening for Jobs"}


# Which column of the tables in docs/troubleshooting.md quotes the log, by section.
QUOTING = {"My runner does not appear": 1, "My job was cancelled": 1, "My runner does nothing": 2}


@pytest.mark.parametrize("section", QUOTING)
def test_quoted_messages_exist(section: str) -> None:
    """What docs/troubleshooting.md quotes of the log is what the log says."""
    page = documents.TROUBLESHOOTING.read_text()
    text = page.partition(f"## {section}\n")[2].partition("\n## ")[0]
    cells = [line.split("|")[QUOTING[section]] for line in text.splitlines() if line[:1] == "|"]
    quoted = [q for cell in cells for q in re.findall(r"`([^`]+)`", cell) if " " in q]
    assert len(quoted) > 3
    # Without a status before it, and without the fields of the event.
    pieces = {
        re.sub(r"^\d+ | \(.*\)$", "", piece).strip(" '")
        for quote in quoted
        for piece in quote.split("…")
    }
    program = said()
    assert [piece for piece in pieces - OF_OTHERS if piece not in program] == []


def blocks(page: str) -> list[list[str]]:
    """Return the tables of a page: lines with a bar first that follow each other, not in code."""
    found: list[list[str]] = [[]]
    for line in re.sub(r"^```.*?^```$", "", page, flags=re.MULTILINE | re.DOTALL).splitlines():
        if line.startswith("|"):
            found[-1].append(line)
        elif found[-1]:
            found.append([])
    return [table for table in found if table]


def columns(line: str) -> int:
    """Return the number of cells of a line; an escaped bar divides none."""
    return len(re.findall(r"(?<!\\)\|", line)) - 1


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(documents.ROOT)))
def test_tables_are_whole(page: Path) -> None:
    """GitHub shows a table as one only if its second line rules it, and cuts further cells."""
    broken = [
        table[0]
        for table in blocks(page.read_text())
        if len(table) < 3
        or not re.fullmatch(r"\|(:?-+:?\|)+", table[1].replace(" ", ""))
        or len({columns(line) for line in table}) > 1
    ]
    assert broken == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(documents.ROOT)))
def test_code_is_not_cut_off(page: Path) -> None:
    """A line of code fits into the column that GitHub shows on a wide screen."""
    text = page.read_text()
    code = re.findall(r"^```.*?\n(.*?)^ *```$", text, re.MULTILINE | re.DOTALL)
    code += re.findall(r"^ {4}(?![-*\d]).*$", text, re.MULTILINE)
    long = [line for block in code for line in block.splitlines() if len(line) > 112]
    # A signature's identity is one word, as tests/release compares it.
    assert [line for line in long if r"publish\.yml@refs/" not in line] == []


def test_readme_leads_to_every_page() -> None:
    """Each page of docs/ has a link in the README."""
    targets = {target.partition("#")[0] for target in LINK.findall(documents.README.read_text())}
    pages = {f"docs/{page.name}" for page in (documents.ROOT / "docs").glob("*.md")}
    assert pages - targets == set()


def test_decision_records_are_numbered() -> None:
    """Each decision record has a number of its own, which its file and its title tell alike."""
    records = sorted((documents.ROOT / "docs" / "adr").glob("*.md"))
    assert [int(path.name[:4]) for path in records] == [*range(1, len(records) + 1)]
    for number, path in enumerate(records, 1):
        assert path.read_text().startswith(f"# {number}. "), path
