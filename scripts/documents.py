"""Writes the parts of the documentation that come from code: `python -m scripts.documents`.

Such a part of a page is between `<!-- NAME: begin -->` and `<!-- NAME: end -->`.
"""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from entrypoint.commands.settings import template
from entrypoint.errors import MEANINGS
from entrypoint.github.refusals import REFUSALS
from entrypoint.settings import credential
from entrypoint.settings.projects import PROJECTS, Project, Row
from entrypoint.settings.schema import variables
from entrypoint.vault import SECRETS

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
SETTINGS = ROOT / "docs" / "settings.md"
ECS = ROOT / "docs" / "ecs.md"
ACTION = ROOT / "action.yml"
TROUBLESHOOTING = ROOT / "docs" / "troubleshooting.md"
MIGRATING = ROOT / "docs" / "migrating.md"
KRUN = ROOT / "docs" / "krun.md"
ORCHESTRATOR = ROOT / "deploy" / "krun" / "orchestrator"
SAMPLE = ROOT / ".env-example"

# What the tables show for placeholders that the program fills in.
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
    """Return the table of refusals, in the order in which they are tried."""
    lines = [
        "| what it is | what is seen | tried again | exit | what to do |",
        "|---|---|---|---|---|",
    ]
    for row in REFUSALS:
        remedy = row.remedy.format_map(_WORDS)
        lines.append(f"| {row.name} | {row.sign} | {row.retry} | {int(row.code)} | {remedy} |")
    return "\n".join(lines) + "\n"


# The groups of settings; the README has the first ones.
GROUPS = {
    "Whose runner it is": "GITHUB_URL GITHUB_OWNER GITHUB_REPOSITORY GITHUB_ENTERPRISE",
    "The credential": "GITHUB_APP_ID GITHUB_APP_INSTALLATION_ID",
    "What most change": (
        "RUNNER_NAME RUNNER_LABELS RUNNER_GROUP RUNNER_REGISTRATION RUNNER_CREDENTIAL"
        " RUNNER_DRAIN_TIMEOUT RUNNER_IDLE_TIMEOUT RUNNER_JOB_TIMEOUT RUNNER_ENGINE RUNNER_SUDO"
        " RUNNER_ENVFILE RUNNER_LOG_FORMAT"
    ),
    "Where GitHub is": (
        "GITHUB_HOST GITHUB_API_URL GITHUB_ALLOW_HTTP GITHUB_TIMEOUT RUNNER_CA_FILE"
    ),
    "The runner": (
        "RUNNER_EPHEMERAL RUNNER_DISABLE_UPDATE RUNNER_NO_DEFAULT_LABELS RUNNER_WORKDIR"
        " RUNNER_USER RUNNER_HOME RUNNER_VERSION RUNNER_RELEASED RUNNER_MIN_FREE_DISK"
    ),
    "Stopping and watching": (
        "RUNNER_STOP_TIMEOUT RUNNER_CANCEL_TIMEOUT RUNNER_STOP_FILE RUNNER_WATCHDOG"
        " RUNNER_MAX_RESTARTS RUNNER_FAILURE_PAUSE"
    ),
    "Security": "RUNNER_ALLOW_PTRACE RUNNER_ALLOW_READABLE_SECRETS",
    "Log and state": "RUNNER_LOG_LEVEL RUNNER_STATE_DIR RUNNER_METRICS_FILE",
    "The container engine": (
        "RUNNER_ENGINE_OPTIONS RUNNER_ENGINE_CLEANUP RUNNER_ENGINE_MTU RUNNER_ENGINE_MIRRORS"
        " RUNNER_ENGINE_INSECURE_REGISTRIES RUNNER_ENGINE_DATA_ROOT RUNNER_ENGINE_STORAGE_DRIVER"
        " RUNNER_ENGINE_ADDRESS_POOL"
    ),
}


def settings(group: str) -> str:
    """Return the table of a group of settings."""
    if group == "The credential":
        return secrets()
    known = {variable: variables()[variable] for variable in GROUPS[group].split()}
    if not any(about["default"] for about in known.values()):
        return _two_columns({name: about["about"] for name, about in known.items()})
    lines = ["| variable | default | meaning |", "|---|---|---|"]
    for variable, about in known.items():
        default = f"`{about['default']}`" if about["default"] else ""
        lines.append(f"| `{variable}` | {default} | {about['about']} |")
    return "\n".join(lines) + "\n"


def all_settings() -> str:
    """Return the tables of all settings, a section for each group."""
    return "\n".join(f"## {group}\n\n{settings(group)}" for group in GROUPS)


def secrets() -> str:
    """Return the table of credentials."""
    rows = {}
    for name in credential.VARIABLES:
        rows[f"{name}`, `{name}_FILE"] = SECRETS[name]
        if name == "GITHUB_APP_PRIVATE_KEY":
            known = variables()
            rows |= {beside: known[beside]["about"] for beside in GROUPS["The credential"].split()}
    return _two_columns(rows)


def _two_columns(rows: dict[str, str]) -> str:
    lines = [f"| `{variable}` | {about} |" for variable, about in rows.items()]
    return "\n".join(["| variable | meaning |", "|---|---|", *lines]) + "\n"


def exit_codes() -> str:
    """Return the table of exit codes."""
    rows = [f"| {int(code)} | {code.meaning} |" for code in MEANINGS]
    other = "| other | `exec`: the command's own code, or 128 + N if signal N ended it |"
    return "\n".join(["| code | meaning |", "|---|---|", *rows, other]) + "\n"


def _of_the_action(kind: str) -> list[tuple[str, str, str]]:
    """Return names, default and meaning of the action's inputs or outputs; aliases share a row."""
    action: dict[str, Any] = yaml.safe_load(ACTION.read_text())
    names: dict[str, list[str]] = {}
    told: dict[str, str] = {}
    for name, about in action[kind].items():
        same = re.fullmatch(r"The same as `(.+)`\.", about["description"])
        first = same[1] if same else name
        names.setdefault(first, []).append(f"`{name}`")
        told.setdefault(first, about["description"])
    rows = []
    for first, all_names in names.items():
        # One spelling of each is enough: the page says that hyphens and underscores are equal.
        shown = [name for name in all_names if "_" not in name or kind == "outputs"]
        meaning, _, default = told[first].partition(" Default: ")
        rows.append((", ".join(shown), default.rstrip("."), meaning))
    return rows


def inputs() -> str:
    """Return the table of the action's inputs."""
    known = _of_the_action("inputs")
    rows = [f"| {names} | {default} | {about} |" for names, default, about in known]
    return "\n".join(["| input | default | meaning |", "|---|---|---|", *rows]) + "\n"


def outputs() -> str:
    """Return the table of the action's outputs."""
    rows = [f"| {names} | {about} |" for names, _, about in _of_the_action("outputs")]
    return "\n".join(["| output | meaning |", "|---|---|", *rows]) + "\n"


def projects() -> str:
    """Return a section for each project whose variables are translated."""
    return "\n".join(map(project, PROJECTS))


def project(one: Project) -> str:
    """Return the section on one project."""
    lines = [f"## {one.name}", "", "| there | here | |", "|---|---|---|"]
    lines += [variable(row) for row in (*one.scope_names, *one.rows)]
    lines += ["", "What gets better:", "", *(f"- {sentence}" for sentence in one.better)]
    lines += ["", "What is different:", "", *(f"- {sentence}" for sentence in one.different), ""]
    return "\n".join(lines)


def variable(row: Row) -> str:
    """Return the line for one variable in a project's table."""
    here = "the same" if row.ours == row.theirs else f"`{row.ours}`" if row.ours else "-"
    return f"| `{row.theirs}` | {here} | {row.how} |"


def orchestrator_help() -> str:
    """Return what `orchestrator -h` prints, as a block of code."""
    command = [sys.executable, ORCHESTRATOR, "-h"]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return f"```\n{said}```\n"


def with_parts(path: Path, parts: dict[str, str]) -> str:
    """Return a page with these parts in it, by their names. Raises ValueError if it lacks one."""
    page = path.read_text()
    for name, part in parts.items():
        begin, end = f"<!-- {name}: begin -->\n", f"<!-- {name}: end -->\n"
        before, rest = page.split(begin)
        page = before + begin + "\n" + part + "\n" + end + rest.split(end)[1]
    return page


def generated() -> dict[Path, str]:
    """Return each file that is made from code, or has parts that are, as it should be."""
    tables_of_readme = {
        "whose": settings("Whose runner it is"),
        "secrets": secrets(),
        "settings": settings("What most change"),
        "exit codes": exit_codes(),
    }
    return {
        SAMPLE: template(),
        README: with_parts(README, tables_of_readme),
        SETTINGS: with_parts(SETTINGS, {"all settings": all_settings()}),
        TROUBLESHOOTING: with_parts(TROUBLESHOOTING, {"refusals": refusals()}),
        MIGRATING: with_parts(MIGRATING, {"projects": projects()}),
        ECS: with_parts(ECS, {"inputs": inputs(), "outputs": outputs()}),
        KRUN: with_parts(KRUN, {"orchestrator -h": orchestrator_help()}),
    }


if __name__ == "__main__":
    for file, text in generated().items():
        file.write_text(text)
