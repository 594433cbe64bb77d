"""The variables that the operator has set, divided once into settings and secrets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from entrypoint.vault import ALIASES, BORROWED, SECRETS


class Given(NamedTuple):
    """Values as the operator wrote them; `settings` holds every variable that is not a secret."""

    settings: Mapping[str, str]
    secrets: Mapping[str, str]

    @classmethod
    def divide(cls, values: Mapping[str, str]) -> Given:
        """Divide an environment, or the contents of an env file."""
        secret = {*SECRETS, *ALIASES, *BORROWED}
        return cls(
            {name: value for name, value in values.items() if name not in secret},
            {name: value for name, value in values.items() if name in secret},
        )

    def under(self, values: Mapping[str, str]) -> Given:
        """Return these values overridden by others, such as an env file's."""
        above = Given.divide(values)
        return Given({**self.settings, **above.settings}, {**self.secrets, **above.secrets})
