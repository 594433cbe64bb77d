"""What PID 1 knows about its registration, and what the child that registers tells it."""

from __future__ import annotations

import marshal  # as in vault.py
import os

from entrypoint.errors import ExitCode, Failure
from entrypoint.init.child import memory_file


class Registration:
    """What PID 1 knows about the runner's entry on GitHub's list. Each method is an event.

    `maybe_listed`: GitHub may list the runner, so it must be removed at the end.
    `may_appear_later`: the program that registers was killed before its request was answered.
    GitHub may still list the runner later, although it does not now.
    `ours`: this container has registered the runner and must remove it. A registration that was
    given belongs to the program that made it.
    `by_config_sh`: the removal may run `config.sh remove`. It must not once a job may be there,
    because a job can read the token in the environment of config.sh.
    """

    def __init__(self, name: str, *, by_config_sh: bool) -> None:
        """Begin before the first request to GitHub."""
        self.name = name
        self.id: int | None = None
        self.ours = True
        self.job = ""
        self.by_config_sh = by_config_sh
        self.maybe_listed = False
        self.may_appear_later = False

    def given(self, number: int | None) -> None:
        """The registration was given: the program that made it also removes it."""
        self.id, self.ours, self.by_config_sh = number, False, False

    def cut_short(self) -> None:
        """The program that registers is killed before it has told the result of its request."""
        self.maybe_listed = self.may_appear_later = True

    def not_made(self) -> None:
        """GitHub does not list the runner: it was not asked yet, or has refused."""
        self.maybe_listed = self.may_appear_later = False

    def made(self, number: int | None) -> None:
        """The program that registers has ended; `number` is None if it has left no record."""
        self.maybe_listed, self.may_appear_later, self.id = True, False, number

    def renamed(self, name: str) -> None:
        """GitHub has registered a JIT configuration under this name, without config.sh."""
        self.name, self.by_config_sh = name, False

    def job_taken(self, job: str = "") -> None:
        """The runner may have a job from now on; `job` is its name in the listener's log."""
        self.by_config_sh = False
        self.job = job or self.job

    def hurried(self) -> None:
        """A stop leaves no time for config.sh."""
        self.by_config_sh = False

    def gone(self) -> None:
        """GitHub no longer lists the runner."""
        self.maybe_listed = False


class Progress:
    """What the child that registers tells PID 1 while it runs, by memory files that both have."""

    def __init__(self) -> None:
        """Begin with empty files."""
        self._begun = memory_file("begun")
        self._rejection = memory_file("rejection")

    def begin(self) -> None:
        """Say that GitHub may list the runner from now on."""
        os.write(self._begun, b"1")

    def take_back(self) -> None:
        """Say that GitHub has refused, and so does not list the runner."""
        os.ftruncate(self._begun, 0)

    def begun(self) -> bool:
        """Return whether GitHub may list the runner."""
        return os.fstat(self._begun).st_size > 0

    def reject_version(self, failure: Failure) -> None:
        """Say that GitHub no longer accepts this version of the runner."""
        os.write(self._rejection, marshal.dumps([failure.message, failure.hint]))

    def require_version(self) -> None:
        """Raise the Failure (7) that `reject_version` was called with, if it was called."""
        size = os.fstat(self._rejection).st_size
        if size:
            message, hint = marshal.loads(os.pread(self._rejection, size, 0))  # noqa: S302 - by us
            raise Failure(ExitCode.VERSION, message, hint)
