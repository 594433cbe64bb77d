"""Judges a scanner's findings in an image: those with a fix are errors, unless excepted.

Usage: python3 -m release.findings REPORT [--exceptions FILE] [--today DAY]

REPORT is Grype's, as JSON. A finding that has a fix ends this command with 1, unless
.github/scan-exceptions.toml has an exception for it that still holds. Findings without a fix are
only counted. An exception is

    [[exception]]
    id = "CVE-2026-1234"              # the finding's, or one of its aliases
    package = "libfoo"                # name of the package
    path = "/home/runner/externals/*" # where in the image it was found; every place has to fit
    until = 2027-01-31                # last day; at most 90 days from now
    reason = "Why this does not matter, or who has to fix it."

with at least one of `id`, `package` and `path`; all that are given have to fit.
"""

from __future__ import annotations

import argparse
import json
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from release.errors import Refusal, run

EXCEPTIONS = Path(".github/scan-exceptions.toml")
LONGEST = timedelta(days=90)  # what should last longer is a case for another rule
SOON = timedelta(days=14)
SEVERITIES = ("Critical", "High", "Medium", "Low", "Negligible", "Unknown")


@dataclass(frozen=True)
class Finding:
    """One vulnerability in one package."""

    ids: tuple[str, ...]
    severity: str
    package: str
    version: str
    fixed_in: tuple[str, ...]
    paths: tuple[str, ...]

    def __str__(self) -> str:
        """Return it as one line."""
        fix = f", fixed in {' or '.join(self.fixed_in)}" if self.fixed_in else ""
        return f"{self.severity}: {self.ids[0]} in {self.package} {self.version}{fix}"


@dataclass(frozen=True)
class Exemption:
    """An exception: findings that may wait for a time, and why."""

    until: date
    reason: str
    id: str = ""
    package: str = ""
    path: str = ""

    def __str__(self) -> str:
        """Return what it is for."""
        what = ", ".join(word for word in (self.id, self.package, self.path) if word)
        return f"{what} until {self.until} ({self.reason})"

    def fits(self, finding: Finding) -> bool:
        """Return whether it is for this finding."""
        return (
            (not self.id or self.id in finding.ids)
            and (not self.package or self.package == finding.package)
            and (
                not self.path
                or (bool(finding.paths) and all(fnmatchcase(p, self.path) for p in finding.paths))
            )
        )


def main() -> None:
    """Read the command line, and judge the report."""
    parser = argparse.ArgumentParser(prog="python3 -m release.findings")
    parser.add_argument("report", type=Path)
    parser.add_argument("--exceptions", type=Path, default=EXCEPTIONS)
    parser.add_argument("--today", type=date.fromisoformat, default=datetime.now(UTC).date())
    options = parser.parse_args()
    exemptions = read_exemptions(options.exceptions, options.today)
    findings = read_report(options.report)
    fixable = [finding for finding in findings if finding.fixed_in]
    bad = [line for finding in fixable if (line := judged(finding, exemptions, options.today))]
    for line in bad:
        print(line)
    for note in notes(exemptions, fixable, options.today):
        print(f"note: {note}")
    print(
        f"{len(findings)} findings: {len(findings) - len(fixable)} without a fix,"
        f" {len(fixable) - len(bad)} excepted, {len(bad)} to be fixed"
    )
    if bad:
        raise Refusal(
            f"{len(bad)} findings can be fixed; {options.exceptions} is for those that have to wait"
        )


def judged(finding: Finding, exemptions: Sequence[Exemption], today: date) -> str:
    """Return the problem with a finding that has a fix; "" if it is excepted."""
    fitting = [exemption for exemption in exemptions if exemption.fits(finding)]
    if any(exemption.until >= today for exemption in fitting):
        return ""
    ended = f"; its exception ended on {max(e.until for e in fitting)}" if fitting else ""
    return f"{finding}{ended}"


def notes(exemptions: Sequence[Exemption], fixable: Sequence[Finding], today: date) -> list[str]:
    """Return which exceptions end soon or are no longer needed."""
    said = []
    for exemption in exemptions:
        if not any(exemption.fits(finding) for finding in fixable):
            said.append(f"no longer needed: {exemption}")
        elif today <= exemption.until < today + SOON:
            said.append(f"ends soon: {exemption}")
    return said


def read_report(path: Path) -> list[Finding]:
    """Return the findings, the worst first; Refusal if the file is no report."""
    try:
        matches = json.loads(path.read_text())["matches"]
        findings = [_finding(match) for match in matches]
    except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
        raise Refusal(f"{path} is no report of Grype's: {error!r}") from None
    return sorted(findings, key=lambda f: (SEVERITIES.index(f.severity), f.package, f.ids))


def _finding(match: dict[str, Any]) -> Finding:
    vulnerability, artifact = match["vulnerability"], match["artifact"]
    aliases = [related["id"] for related in match.get("relatedVulnerabilities") or []]
    fix = vulnerability.get("fix") or {}
    fixed = fix["state"] == "fixed"
    severity = vulnerability.get("severity", "")
    return Finding(
        ids=tuple(dict.fromkeys([vulnerability["id"], *aliases])),
        severity=severity if severity in SEVERITIES else "Unknown",
        package=artifact["name"],
        version=artifact["version"],
        fixed_in=tuple(fix.get("versions") or ["a later version"]) if fixed else (),
        paths=tuple(place["path"] for place in artifact.get("locations") or []),
    )


def read_exemptions(path: Path, today: date) -> list[Exemption]:
    """Return the exceptions; Refusal with everything that is wrong with them."""
    try:
        entries = tomllib.loads(path.read_text()).get("exception", [])
    except (OSError, ValueError) as error:
        raise Refusal(f"{path}: {error}") from None
    problems = [
        f"{path}: exception {number}: {problem}"
        for number, entry in enumerate(entries, 1)
        for problem in _problems(entry, today)
    ]
    if problems:
        raise Refusal("; ".join(problems))
    return [Exemption(**entry) for entry in entries]


def _problems(entry: dict[str, Any], today: date) -> list[str]:
    problems = []
    if unknown := entry.keys() - Exemption.__dataclass_fields__.keys():
        problems.append(f"unknown: {', '.join(sorted(unknown))}")
    until = entry.get("until")
    if not isinstance(until, date) or isinstance(until, datetime):
        problems.append("`until` has to be a day such as 2027-01-31")
    elif until > today + LONGEST:
        problems.append(f"`until` is more than {LONGEST.days} days from now")
    if not str(entry.get("reason", "")).strip():
        problems.append("`reason` is missing")
    if not any(entry.get(key) for key in ("id", "package", "path")):
        problems.append("one of `id`, `package` and `path` has to say what it is for")
    return problems


if __name__ == "__main__":
    run(main)
