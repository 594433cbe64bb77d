"""The reading of the settings and of the secrets: PID 1's side. The child is prepare_child.py."""

from __future__ import annotations

import time

from entrypoint import call, log, redaction
from entrypoint.errors import ExitCode, Failure
from entrypoint.settings.plan import Plan

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import MutableMapping
    from typing import Any

    from entrypoint.init.child import Child
    from entrypoint.init.pid1 import Init
    from entrypoint.vault import Vault

TIMEOUT = 20.0  # seconds; reading a file on a volume that hangs would never end


class Preparing:
    """The child that reads the settings, and puts the secrets into a vault."""

    def __init__(
        self, pid_1: Init, environ: MutableMapping[str, str], given: Vault, vault: Vault
    ) -> None:
        """Start the child. `given` holds the secrets of the environment; it fills `vault`."""

        def load() -> dict[str, Any]:
            from entrypoint.lifecycle import prepare_child  # PID 1 must not load it

            return prepare_child.load(environ, given.read(), vault)

        self._init, self._environ, self._given = pid_1, environ, given
        self._deadline = time.monotonic() + TIMEOUT
        self._child: Child = call.start(pid_1, load)

    def result(self) -> tuple[Plan, dict[str, Any]]:
        """Wait for the child; return the plan, and the order to the child that registers.

        Raises a Failure that lists every problem.
        """
        try:
            call.wait_for(
                self._init,
                lambda: self._child.outcome is not None,
                self._deadline,
                "the files of the settings",
            )
            if self._child.outcome is None:
                raise Failure(ExitCode.CONFIG, f"reading the settings took over {TIMEOUT} s")
            order: dict[str, Any] = call.result(self._child)
        finally:
            call.end(self._init, self._child)
        self._given.forget()
        self._environ.update(order["environment"])
        redaction.hide_parts(order["passwords"])
        plan = Plan(order["plan"])
        log.configure(plan.log_level, plan.log_format)
        log.belongs_to(name=plan.name)
        if self._given.was_passed_on:
            log.debug(
                "life.decision",
                "PID 1 has executed itself again: its environment had a secret in it",
            )
        return plan, order
