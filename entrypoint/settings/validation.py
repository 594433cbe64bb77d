"""From the values that were given to one frozen `Settings`, or to every problem at once."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from entrypoint.errors import ExitCode, Failure
from entrypoint.settings.contradictions import contradictions, misspelt
from entrypoint.settings.parsers import Problem, bare
from entrypoint.settings.schema import Settings, variables
from entrypoint.vault import SECRETS

_VARIABLE = re.compile(r"\b(?:GITHUB|RUNNER)_[A-Z_]+")


def parse(values: Mapping[str, str], problems: Sequence[str] = ()) -> Settings:
    """Turn the values that were given into Settings, or raise a Failure with every problem.

    `problems` are those found before. An empty value is the default, as in a compose file.
    """
    known = variables()
    parsed, problems = {}, [*problems, *misspelt(values, [*known, *SECRETS])]
    for variable, about in known.items():
        given = bare(values.get(variable, "")) or about["default"]
        try:
            parsed[about["field"]] = about["parse"](given)
        except Problem as problem:
            problems.append(f"{variable}: {problem}")
            parsed[about["field"]] = about["parse"](about["default"])
    settings = Settings(**parsed)
    problems += _news(contradictions(settings, values), problems)
    if problems:
        raise wrong(problems)
    return settings


def _news(found: Sequence[str], problems: Sequence[str]) -> list[str]:
    """Return what does not only follow from a value that is known to be wrong."""
    told = set(_VARIABLE.findall(" ".join(problems)))
    return [problem for problem in found if not told & set(_VARIABLE.findall(problem))]


def wrong(problems: list[str]) -> Failure:
    """Make the one Failure that tells all problems of the settings."""
    return Failure(ExitCode.CONFIG, "the settings are wrong: " + "; ".join(problems))
