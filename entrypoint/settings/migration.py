"""Translates the variables of other projects into ours (`PROJECTS` has the table).

"Ours" are the variables of this program; "theirs" are those of another project. If two variables
mean the same setting and have different values, that is a problem. A variable that limits a runner
to a repository or an organization there must limit it here too, or is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from entrypoint.settings import parsers
from entrypoint.settings.given import Given
from entrypoint.settings.parsers import Problem, unquoted
from entrypoint.settings.projects import PROJECTS, Claim, Project, Row, Values, any_word
from entrypoint.settings.schema import ours
from entrypoint.settings.target import Scope
from entrypoint.vault import BORROWED, SECRETS

_SHARED = "RUNNER_SCOPE"  # of two projects, so no sign of either; alone it is read as myoung34's


class Translation:
    """The projects whose variables were recognised, and what each variable was translated to."""

    def __init__(self) -> None:
        """Begin without any project."""
        self.projects: list[str] = []
        self.settings: dict[str, str] = {}
        self.secrets: dict[str, str] = {}
        self.origins: dict[str, str] = {}  # their variable, by our variable
        self.used: set[str] = set()
        self.dropped: set[str] = set()
        self.scope_is_wrong = False
        self.claims: list[Claim] = []
        self.labels: list[str] = []
        self.notes: list[str] = []
        self.problems: list[str] = []

    def applied(self, given: Given) -> Given:
        """Return what the operator has given, with their variables replaced by ours."""
        kept = {
            name: value
            for name, value in given.settings.items()
            if name not in self.dropped and (name not in self.used or name in ours())
        }
        secrets = {name: v for name, v in given.secrets.items() if name not in BORROWED}
        return Given({**kept, **self.settings}, {**secrets, **self.secrets})

    def left(self, given: Given) -> dict[str, str]:
        """Return variables named like another project's secret, where that project is not used."""
        return {n: v for n, v in given.secrets.items() if n in BORROWED and n not in self.used}

    @property
    def line(self) -> str:
        """One line for the log: which project's configuration it is, and what each name became."""
        if not self.projects:
            return ""
        became = [f"{theirs} → {name}" for name, theirs in self.origins.items() if theirs != name]
        labels = [f"labels added: {', '.join(self.labels)}"] if self.labels else []
        told = "; ".join([*([", ".join(became)] if became else []), *labels])
        return f"configured for {' and '.join(self.projects)}: {told or 'all names are the same'}"

    def annotated(self, message: str) -> str:
        """Name beside each of our variables in a message the one that the operator has written."""
        for name, theirs in self.origins.items():
            if theirs != name:
                message = re.sub(rf"\b{name}\b", f"{theirs} (here {name})", message)
        return message


def translate(given: Given) -> Translation:
    """Return the variables of other projects as ours; `given` is not changed."""
    known = {**given.settings, **given.secrets}
    values = {name: value for name, raw in known.items() if (value := unquoted(raw))}
    found = Translation()
    projects = [p for p in PROJECTS if any(values.get(sign) for sign in p.signs)]
    if not projects and values.get(_SHARED):
        projects = [p for p in PROJECTS if p.name.startswith("myoung34")]
    for project in projects:
        _take(project, values, found)
    if not any(_SHARED in {row.theirs for row in p.scope_names} for p in projects):
        found.claims += _narrower(values)
    _add_labels(values, found)
    return found


def _narrower(values: Values) -> Iterator[Claim]:
    """Yield the limit that RUNNER_SCOPE=repo sets beside projects that do not know it."""
    if values.get(_SHARED, "").lower().startswith("rep"):
        yield Claim(_SHARED, "", "", Scope.REPOSITORY)


def _take(project: Project, values: Values, found: Translation) -> None:
    found.projects.append(project.name)
    found.used |= {row.theirs for row in project.scope_names} & values.keys()
    try:
        for claim in project.claims(values):
            found.claims.append(claim)
            if claim.ours and not claim.value:
                found.origins.setdefault(claim.ours, claim.theirs)
            elif claim.ours:
                _set(claim.theirs, claim.ours, claim.value, values, found)
    except Problem as problem:
        found.problems.append(str(problem))
        found.scope_is_wrong = True
    for row in project.rows:
        if values.get(row.theirs) and not (row.unless and values.get(row.unless)):
            _take_row(row, values, found)
    _leave_group_out(project, values, found)
    found.labels += project.labels(values)


def _take_row(row: Row, values: Values, found: Translation) -> None:
    value = values[row.theirs]
    found.used.add(row.theirs)
    try:
        taken = row.take(value)
    except Problem as problem:
        words = "; any word, even false, is a yes there" if row.take is any_word else ""
        found.problems.append(f"{row.theirs}: {problem}{words}")
        return
    if row.take is any_word and not parsers.flag(value):
        found.notes.append(
            f"{row.theirs}: any word, even {value}, is a yes there, and so here; set {row.ours}=0"
        )
    if not row.ours:
        if taken and not row.silent:
            found.notes.append(f"{row.theirs}: has no equal here: {row.how}")
    elif taken and (taken, row.theirs) != (value, row.ours):
        _set(row.theirs, row.ours, taken, values, found)


def _set(theirs: str, name: str, value: str, values: Values, found: Translation) -> None:
    """Set one of our variables, or add a problem if it already has another value."""
    goal = found.secrets if name in SECRETS else found.settings
    if name == "RUNNER_ENGINE_OPTIONS":
        value = " ".join([goal.get(name) or values.get(name, ""), value]).strip()
    else:
        own = values.get(name, "") if theirs != name and name not in found.used else ""
        other, whose = (goal[name], found.origins[name]) if name in goal else (own, name)
        same = other == value or (name not in SECRETS and other.lower() == value.lower())
        if other and not same:
            found.problems.append(f"{whose} and {theirs}: say different things; give one of them")
            return
    goal[name] = value
    found.origins[name] = theirs


def _leave_group_out(project: Project, values: Values, found: Translation) -> None:
    """Drop RUNNER_GROUP if the project ignores it for a repository, which has no groups."""
    if values.get(project.group_beside) and values.get("RUNNER_GROUP"):
        found.dropped.add("RUNNER_GROUP")
        found.notes.append("RUNNER_GROUP: is passed over, since a repository has no runner groups")


def _add_labels(values: Values, found: Translation) -> None:
    labels = found.settings.get("RUNNER_LABELS") or values.get("RUNNER_LABELS", "")
    present = {unquoted(label).lower() for label in labels.split(",")}
    found.labels = [label for label in found.labels if label.lower() not in present]
    if found.labels:
        found.settings["RUNNER_LABELS"] = ",".join(filter(None, [labels, *found.labels]))
        found.origins.setdefault("RUNNER_LABELS", "RUNNER_LABELS")


def too_wide(found: Translation, scope: Scope) -> Iterator[str]:
    """Yield a problem for each variable that names a narrower scope than the runner would have."""
    order = (Scope.REPOSITORY, Scope.ORGANIZATION, Scope.ENTERPRISE)
    for claim in found.claims:
        if claim.scope and order.index(scope) > order.index(claim.scope):
            yield (
                f"{claim.theirs}: says {claim.scope}, and the runner would serve the whole {scope};"
                " leave out what does not belong"
            )
