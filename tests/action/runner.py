"""What runs in a task of the stand-in: a runner that GitHub lists, without a container."""

from __future__ import annotations

import tempfile
from types import SimpleNamespace
from typing import Any

from simulator.runner.identity import Identity
from simulator.runner.session import Session


class _Silent:
    """A terminal that nobody looks at."""

    def __getattr__(self, _name: str) -> Any:
        return lambda *_words: None


class Listener:
    """A listener with a JIT configuration: online from `open` to `close`."""

    def __init__(self, url: str, jit: str) -> None:
        """`url` is the simulator's."""
        with tempfile.TemporaryDirectory() as root:
            identity = Identity(root)
            identity.save_jit(jit)
            settings = SimpleNamespace(url=url, version="2.336.0", session_conflict=0.0)
            self._session = Session(settings, _Silent(), identity)  # type: ignore[arg-type]

    def open(self) -> None:
        """Log in, which makes it online."""
        self._session.open()

    def take_job(self) -> dict[str, Any]:
        """Wait for a job and take it; the runner is busy then."""
        message = None
        while message is None:
            self._session.ask("Online")
            message = self._session.message()
        job = self._session.acquire(message)
        assert job is not None
        return job

    def close(self) -> None:
        """Hang up without a word."""
        self._session.connection.close()
