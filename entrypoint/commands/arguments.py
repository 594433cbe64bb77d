"""Command lines of subcommands: a wrong one causes one line without secrets, and exit code 78."""

from __future__ import annotations

import argparse
import sys
from typing import NoReturn

from entrypoint import redaction
from entrypoint.errors import ExitCode


class Parser(argparse.ArgumentParser):
    """Like argparse's, but redacts words that may be tokens, and exits with 78, not 2."""

    def error(self, message: str) -> NoReturn:
        """Print the usage and the error, without what looks like a secret, and exit."""
        self.print_usage(sys.stderr)
        self.exit(ExitCode.CONFIG, f"{self.prog}: error: {redaction.redact(message)}\n")
