"""What the operator has given, by variable, parted once: settings, which may be shown; secrets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from entrypoint.vault import ALIASES, BORROWED, SECRETS


class Given(NamedTuple):
    """Values as they were written; `settings` holds all variables that are no secret."""

    settings: Mapping[str, str]
    secrets: Mapping[str, str]

    @classmethod
    def part(cls, values: Mapping[str, str]) -> Given:
        """Part an environment or an env file."""
        secret = {*SECRETS, *ALIASES, *BORROWED}
        return cls(
            {name: value for name, value in values.items() if name not in secret},
            {name: value for name, value in values.items() if name in secret},
        )

    def under(self, values: Mapping[str, str]) -> Given:
        """Return these values with others, such as an env file's, on top of them."""
        above = Given.part(values)
        return Given({**self.settings, **above.settings}, {**self.secrets, **above.secrets})
