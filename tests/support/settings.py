"""Settings made from one environment that has secrets and other variables in it."""

from collections.abc import Mapping, Sequence

from entrypoint.settings import rules
from entrypoint.settings.given import Given
from entrypoint.settings.schema import Settings


def parse(values: Mapping[str, str], problems: Sequence[str] = ()) -> Settings:
    """Return the settings, or raise the Failure that a start would end with."""
    return rules.parse(Given.divide(values), problems)
