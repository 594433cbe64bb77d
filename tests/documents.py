"""The parts of the documentation that are made from the code: `python -m tests.documents`."""

from pathlib import Path

from entrypoint.refusals import REFUSALS

TROUBLESHOOTING = Path(__file__).parent.parent / "docs" / "troubleshooting.md"
BEGIN = "<!-- made from entrypoint/refusals.py by `python -m tests.documents`: begin -->\n"
END = "<!-- end -->\n"

# What stands for the placeholders that are filled in when it happens.
_WORDS = {
    "accepted": "",
    "api": "the API's address",
    "granted": "only other scopes",
    "host": "the API's host",
    "kind": "credential",
    "name": "of that name",
    "needs": "[what its kind needs](github.md#permissions)",
    "reset": "it is in the message",
    "scope": "repository, organization or enterprise",
    "setting": "the same setting",
    "sso": "the address in the message",
}


def refusals() -> str:
    """The table of refusals, in the order in which they are looked for."""
    lines = [
        "| what it is | what is seen | tried again | exit | what to do |",
        "|---|---|---|---|---|",
    ]
    for row in REFUSALS:
        remedy = row.remedy.format_map(_WORDS)
        lines.append(f"| {row.name} | {row.sign} | {row.retry} | {int(row.code)} | {remedy} |")
    return "\n".join(lines) + "\n"


def renewed(page: str) -> str:
    """A page with its made section made anew."""
    before, _, rest = page.partition(BEGIN)
    return before + BEGIN + "\n" + refusals() + "\n" + END + rest.partition(END)[2]


if __name__ == "__main__":
    TROUBLESHOOTING.write_text(renewed(TROUBLESHOOTING.read_text()))
