"""The listener's command line: its command, flags and arguments.

Each of them may come from the environment as well.
"""

import os

from .program import INPUT_PREFIX

TRUE = ("1", "true", "$true")
GENERIC = {"help", "version", "commit", "check"}
VALID = {
    "configure": {
        *("disableupdate", "ephemeral", "generateserviceconfig", "replace", "runasservice"),
        *("unattended", "no-default-labels", "auth", "labels", "monitorsocketaddress", "name"),
        *("pat", "runnergroup", "token", "url", "username", "windowslogonaccount"),
        *("windowslogonpassword", "work"),
    },
    "remove": {"token", "pat", "local"},
    "run": {"once", "jitconfig", "startuptype"},
    "warmup": set[str](),
}


class Options:
    """A parsed command line; the first of two equal arguments counts."""

    def __init__(self, words: list[str]) -> None:
        self.commands: list[str] = []
        self.flags: set[str] = set()
        self.arguments: dict[str, str] = {}
        self._parse(words)
        self._environment: dict[str, str] = {}
        self._take_environment()

    @property
    def command(self) -> str:
        """The command in lower case; "" if there is none."""
        return self.commands[0].lower() if self.commands else ""

    def flag(self, name: str) -> bool:
        """Return whether a flag is set, on the command line or in the environment."""
        return name in self.flags or self._environment.get(name, "").lower() in TRUE

    def value(self, name: str, default: str = "") -> str:
        """Return the value of an argument, from the command line or else the environment."""
        return self.arguments.get(name, "") or self._environment.get(name, "") or default

    def required(self, name: str) -> str:
        """Return the value of an argument; ValueError in the runner's words if it has none."""
        value = self.value(name)
        if not value:
            message = f"Invalid configuration provided for {name}."
            raise ValueError(message + " Terminating unattended configuration.")
        return value

    def unknown(self) -> list[str]:
        """Return the words that the command does not know; the runner names them and goes on."""
        valid = GENERIC | VALID.get(self.command, set())
        strange = [word for word in self.commands if word.lower() not in VALID]
        return strange + sorted(({*self.flags, *self.arguments}) - valid)

    def _parse(self, words: list[str]) -> None:
        name = None
        for word in words:
            if word.startswith("--") and len(word) > 2:
                if name is not None:
                    self.flags.add(name)
                name = word[2:].strip().lower()
            elif name is None and not self.flags and not self.arguments:
                self.commands.append(word.strip())
            elif name is not None and not word.startswith("-"):
                self.arguments.setdefault(name, word)
                name = None
        if name is not None:
            self.flags.add(name)

    def _take_environment(self) -> None:
        for key in [key for key in os.environ if key.upper().startswith(INPUT_PREFIX)]:
            value = os.environ.pop(key).strip()
            if value:
                self._environment[key[len(INPUT_PREFIX) :].lower()] = value
