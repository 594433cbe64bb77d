"""What is known of one registration: by PID 1, and by the child that registers."""

from __future__ import annotations

import json
import os

from entrypoint.errors import ExitCode, Failure
from entrypoint.init.child import memory_file


class Registration:
    """Our entry on GitHub's list, as far as PID 1 knows. Each method is an event.

    `maybe_listed`: GitHub may list the runner, so it has to be removed at the end.
    `may_appear_later`: the request that registers was cut short. GitHub may carry it out later,
    although its list does not have the runner now.
    `ours`: PID 1 has made it, and takes it back; it does neither with one that was given.
    `by_config_sh`: config.sh may take the runner off the list. It may not once a job can be there,
    since a job can read the token in the environment of config.sh.
    """

    def __init__(self, name: str, *, by_config_sh: bool) -> None:
        """Begin with nothing asked of GitHub."""
        self.name = name
        self.id: int | None = None
        self.ours = True
        self.job = ""
        self.by_config_sh = by_config_sh
        self.maybe_listed = False
        self.may_appear_later = False

    def given(self, number: int | None) -> None:
        """Somebody else has made it, and will take it back: it is not ours to remove."""
        self.id, self.ours, self.by_config_sh = number, False, False

    def cut_short(self) -> None:
        """The program that registers is ended before it has said how its request went."""
        self.maybe_listed = self.may_appear_later = True

    def not_made(self) -> None:
        """GitHub was not asked yet, or has refused."""
        self.maybe_listed = self.may_appear_later = False

    def made(self, number: int | None) -> None:
        """The program that registers has ended; `number` is None where it has left no record."""
        self.maybe_listed, self.may_appear_later, self.id = True, False, number

    def renamed(self, name: str) -> None:
        """GitHub has made it from a JIT configuration, under this name; config.sh had no part."""
        self.name, self.by_config_sh = name, False

    def job_taken(self, job: str = "") -> None:
        """A job may be there from now on; `job` is its name, as the listener's log has it."""
        self.by_config_sh = False
        self.job = job or self.job

    def hurried(self) -> None:
        """There is no time for config.sh."""
        self.by_config_sh = False

    def gone(self) -> None:
        """GitHub's list has the runner no more."""
        self.maybe_listed = False


class Progress:
    """What the child that registers lets PID 1 know meanwhile, in memory files that both hold."""

    def __init__(self) -> None:
        """Begin with nothing known."""
        self._begun = memory_file("begun")
        self._rejection = memory_file("rejection")

    def begin(self) -> None:
        """From now on GitHub may list the runner."""
        os.write(self._begun, b"1")

    def take_back(self) -> None:
        """GitHub has refused: it does not list the runner."""
        os.ftruncate(self._begun, 0)

    def begun(self) -> bool:
        """Return whether GitHub may list the runner."""
        return os.fstat(self._begun).st_size > 0

    def reject_version(self, failure: Failure) -> None:
        """GitHub does not accept this version of the runner any more."""
        os.write(self._rejection, json.dumps([failure.message, failure.hint]).encode())

    def require_version(self) -> None:
        """Raise the Failure (7) of `reject_version`, if there was one."""
        size = os.fstat(self._rejection).st_size
        if size:
            raise Failure(ExitCode.VERSION, *json.loads(os.pread(self._rejection, size, 0)))
