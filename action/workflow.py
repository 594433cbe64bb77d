"""The step's output to the machine that runs it: log, annotations, outputs.

https://docs.github.com/actions/reference/workflows-and-actions/workflow-commands
"""

from __future__ import annotations

import json
import os
import re
import secrets
import sys
from typing import Any, Mapping, TextIO

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\x85\u2028\u2029]")
HIDDEN = "***"


def escape_data(text: str) -> str:
    """Return text as the message of a workflow command, which must be one line."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def escape_property(text: str) -> str:
    """Return text as a property of a workflow command."""
    return escape_data(text).replace(":", "%3A").replace(",", "%2C")


def harmless(text: str) -> str:
    """Return others' text so that the machine finds no command in it.

    The machine obeys lines that begin with `::`, and an old form of command anywhere in a line.
    """
    text = _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text).replace("##[", "## [")
    return re.sub(r"(?m)^(\s*):(?=:)", r"\1: ", text)


class Workflow:
    """The step's log and outputs; secrets that it knows are replaced."""

    def __init__(self, environ: Mapping[str, str], stream: TextIO = sys.stdout) -> None:
        """`environ` is the step's environment; the machine reads commands from `stream`."""
        self._stream = stream
        self._outputs = environ.get("GITHUB_OUTPUT", "")
        self._secrets: list[str] = []

    def mask(self, secret: str) -> None:
        """Hide a secret in everything that this step and later ones print."""
        if secret and secret not in self._secrets:
            self._command("add-mask", secret)
            self.hide(secret)

    def hide(self, secret: str) -> None:
        """Hide a secret in everything that this step prints; no other step knows it."""
        self._secrets.append(secret)

    def info(self, text: str) -> None:
        """Print lines."""
        self._print(harmless(self._redacted(text)))

    def notice(self, text: str, title: str = "") -> None:
        """Annotate the run with a fact."""
        self._annotate("notice", title, text)

    def warning(self, text: str, title: str = "") -> None:
        """Annotate the run with a possible mistake."""
        self._annotate("warning", title, text)

    def error(self, text: str, title: str = "") -> None:
        """Annotate the run with an error."""
        self._annotate("error", title, text)

    def output(self, values: Mapping[str, Any]) -> None:
        """Set outputs of the step; a value that is no text is written as JSON."""
        lines = []
        for name, value in values.items():
            text = value if isinstance(value, str) else json.dumps(value)
            # A random delimiter: no value can end its own entry and begin another one.
            end = "end-" + secrets.token_hex(16)
            lines.append(f"{name}<<{end}\n{text}\n{end}\n")
        if not self._outputs:
            return
        with open(self._outputs, "a", encoding="utf-8") as file:
            file.write("".join(lines))

    def _annotate(self, kind: str, title: str, text: str) -> None:
        text, title = harmless(self._redacted(text)), harmless(self._redacted(title))
        self._command(kind, text, f" title={escape_property(title)}" if title else "")

    def _command(self, name: str, data: str, properties: str = "") -> None:
        self._print(f"::{name}{properties}::{escape_data(data)}")

    def _redacted(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, HIDDEN)
        return text

    def _print(self, text: str) -> None:
        self._stream.write(text + "\n")
        self._stream.flush()


def temporary_directory(environ: Mapping[str, str]) -> str:
    """The directory that the machine empties before and after each job."""
    return environ.get("RUNNER_TEMP") or os.environ.get("TMPDIR") or "/tmp"  # noqa: S108 no other is known
