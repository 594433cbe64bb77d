"""The child that registers: it asks GitHub for a token and then turns into config.sh.

It is forked early, so that it loads what talks to GitHub (20 ms, or 70) on one core while PID 1
reads the settings on the other; and PID 1 never knows the token. This is PID 1's end of it, and
loaded before the fork: by then only what both need. What the child does is in registering.py.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import MutableMapping
from typing import Any

from entrypoint import call, log, redaction
from entrypoint.errors import ExitCode, Failure
from entrypoint.init import pid1, processes, signals
from entrypoint.vault import Vault


class Marks:
    """What the child lets PID 1 know while it works: memory files that both hold."""

    def __init__(self) -> None:
        """Begin with nothing known."""
        self._begun = os.memfd_create("begun")
        self._advice = os.memfd_create("advice")

    def begin(self) -> None:
        """Mark that from now on GitHub may list the runner."""
        os.write(self._begun, b"1")

    def take_back(self) -> None:
        """Mark that GitHub has refused: there is nothing to be undone."""
        os.ftruncate(self._begun, 0)

    def begun(self) -> bool:
        """Return whether GitHub may list the runner."""
        return os.fstat(self._begun).st_size > 0

    def give_up(self, failure: Failure) -> None:
        """Mark that GitHub does not accept this version of the runner any more."""
        os.write(self._advice, json.dumps([failure.message, failure.hint]).encode())

    def check_version(self) -> None:
        """Raise the Failure (7) that was marked, if any."""
        size = os.fstat(self._advice).st_size
        if size:
            raise Failure(ExitCode.VERSION, *json.loads(os.pread(self._advice, size, 0)))


class Registrar:
    """PID 1's end of it."""

    def __init__(self, pid_1: pid1.Init, environ: MutableMapping[str, str]) -> None:
        """Start the child, which waits for its order."""
        self.vault = vault = Vault()  # where the secrets will be when the order comes
        self.marks = marks = Marks()
        self.token = token = Vault()  # so that nobody says it
        self.loaded: dict[str, Any] = {}  # what sources.load has returned, for the order
        self._order = os.memfd_create("order")
        inbox, self._outbox = os.pipe()
        # config.sh's words will be captured; our own are to be read.
        stdout = fcntl.fcntl(1, fcntl.F_DUPFD_CLOEXEC, 3)

        def live() -> bytes:
            """Load all that takes its time, and carry out the order that has come since."""
            from entrypoint.registration import register_child  # PID 1 never needs it

            log.write_to(stdout)
            return call.answer(
                lambda: register_child.register(self._awaited(inbox), marks, vault, token, environ)
            )

        self.child = pid_1.fork(live, capture=True)
        os.close(inbox)
        os.close(stdout)

    def order(self, name: str) -> None:
        """Tell the child to register a runner of that name."""
        os.write(self._order, json.dumps({**self.loaded, "name": name}).encode())
        os.close(self._outbox)

    def _awaited(self, inbox: int) -> dict[str, Any]:
        os.close(self._outbox)
        os.read(inbox, 1)  # until PID 1 closes its end
        size = os.fstat(self._order).st_size
        order: dict[str, Any] = json.loads(os.pread(self._order, size, 0))
        return order

    def output(self, pid_1: pid1.Init) -> str:
        """Return what config.sh has said, but for the token, should it have said that."""

        def said() -> str:
            self.token.read()
            return redaction.redact(self.child.output())

        return str(call.wait(pid_1, said))

    def dismiss(self, pid_1: pid1.Init) -> None:
        """End the child that _beside has started, if it is still there: it knows the credential."""
        alive = [p.pid for p in processes.snapshot() if p.parent == os.getpid()]
        group = [p for p in alive if not pid_1.is_ours(p) and os.getpgid(p) == self.child.pid]
        for pid in group:
            signals.kill(pid)
        pid_1.wait_for(lambda: not any(signals.kill(pid, 0) for pid in group), time.monotonic() + 2)
