"""The parts of the documentation that are made from the code: `python -m scripts.documents`."""

from pathlib import Path

from entrypoint.errors import ExitCode
from entrypoint.github.refusals import REFUSALS
from entrypoint.settings import credential
from entrypoint.settings.schema import variables
from entrypoint.vault import SECRETS

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
TROUBLESHOOTING = ROOT / "docs" / "troubleshooting.md"
BEGIN = "<!-- made from entrypoint/github/refusals.py by `python -m scripts.documents`: begin -->\n"
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


def settings() -> str:
    """The table of settings, in the order of `Settings`."""
    lines = ["| variable | default | meaning |", "|---|---|---|"]
    for variable, about in variables().items():
        default = f"`{about['default']}`" if about["default"] else ""
        lines.append(f"| `{variable}` | {default} | {about['about']} |")
    return "\n".join(lines) + "\n"


def secrets() -> str:
    """The table of credentials."""
    given = [(variable, SECRETS[variable]) for variable in credential.VARIABLES]
    rows = [f"| `{variable}`, `{variable}_FILE` | {about} |" for variable, about in given]
    return "\n".join(["| variable | meaning |", "|---|---|", *rows]) + "\n"


def exit_codes() -> str:
    """The table of exit codes."""
    rows = [f"| {int(code)} | {code.meaning} |" for code in ExitCode]
    other = "| other | `exec`: the command's own code, or 128 + N if signal N ended it |"
    return "\n".join(["| code | meaning |", "|---|---|", *rows, other]) + "\n"


def with_tables(page: str) -> str:
    """The README with its tables made anew."""
    for name, table in (
        ("settings", settings()),
        ("secrets", secrets()),
        ("exit codes", exit_codes()),
    ):
        begin, end = f"<!-- {name}: begin -->\n", f"<!-- {name}: end -->\n"
        before, _, rest = page.partition(begin)
        page = before + begin + "\n" + table + "\n" + end + rest.partition(end)[2]
    return page


if __name__ == "__main__":
    README.write_text(with_tables(README.read_text()))
    TROUBLESHOOTING.write_text(renewed(TROUBLESHOOTING.read_text()))
