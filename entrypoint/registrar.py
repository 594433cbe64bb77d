"""The child that registers: it asks GitHub for a token and then turns into config.sh.

It is forked first of all, so that it imports what talks to GitHub (100 ms) on one core while
PID 1 reads the settings on the other; and PID 1 never knows the token.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from entrypoint import call, init
from entrypoint.secrets import Vault

if TYPE_CHECKING:
    from entrypoint.settings import Settings

_ORDER_SIZE = 64 * 1024  # the capacity of a pipe: what fits is written without waiting


class Registrar:
    """PID 1's end of it."""

    def __init__(self, pid_1: init.Init, environ: Mapping[str, str]) -> None:
        """Start the child, which waits for its order."""
        self.vault = vault = Vault()  # where the secrets will be when the order comes
        inbox, self._outbox = os.pipe()
        begun = os.memfd_create("begun")
        self._begun = begun
        self.child = call.start(
            pid_1, lambda: become_config(inbox, begun, vault, environ), capture=True
        )
        os.close(inbox)

    def order(self, settings: Settings, name: str) -> None:
        """Tell the child what to register."""
        from dataclasses import asdict  # noqa: PLC0415 - loaded with the settings, not before

        os.write(self._outbox, json.dumps({"settings": asdict(settings), "name": name}).encode())
        os.close(self._outbox)

    def begun(self) -> bool:
        """Return whether GitHub may have heard of the runner."""
        return os.fstat(self._begun).st_size > 0


def become_config(inbox: int, begun: int, vault: Vault, environ: Mapping[str, str]) -> None:
    """Ask for a registration token as soon as the order is there, then become config.sh."""
    # The slowest first: PID 1 reads the settings meanwhile.
    from entrypoint import account, github, runner  # noqa: PLC0415
    from entrypoint.settings import Settings  # noqa: PLC0415

    order = json.loads(os.read(inbox, _ORDER_SIZE))
    settings = Settings.restore(order["settings"])
    user = account.require(settings.user)
    deadline = time.monotonic() + settings.github_timeout
    token = github.registration_token(github.connect(settings, vault.read(), deadline))
    os.write(begun, b"1")
    init.become(
        account.command(user, runner.config_command(settings, order["name"])),
        env={**runner.environment(environ, user), runner.TOKEN_VARIABLE: token},
        cwd=settings.home,
    )
