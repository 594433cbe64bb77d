"""Command lines of subcommands: a mistake is one line without any secret, and exit code 78."""

from __future__ import annotations

import argparse
import sys
from typing import NoReturn

from entrypoint import redaction
from entrypoint.errors import ExitCode


class Parser(argparse.ArgumentParser):
    """A parser that repeats no word which may be a token, and ends with 78 where argparse has 2."""

    def error(self, message: str) -> NoReturn:
        """Print the usage and what is wrong, with all that looks like a secret redacted; exit."""
        self.print_usage(sys.stderr)
        self.exit(ExitCode.CONFIG, f"{self.prog}: error: {redaction.redact(message)}\n")
