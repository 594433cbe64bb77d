"""The child that registers: it asks GitHub for a token and then turns into config.sh.

It is forked first of all, so that it imports what talks to GitHub (100 ms) on one core while
PID 1 reads the settings on the other; and PID 1 never knows the token.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping, MutableMapping
from typing import TYPE_CHECKING, Any

from entrypoint import call, init, log, processes
from entrypoint.errors import ExitCode, Failure
from entrypoint.secrets import Vault, forbid_core_dumps

if TYPE_CHECKING:
    from entrypoint.account import Account
    from entrypoint.github import Api
    from entrypoint.settings import Settings


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

    def __init__(self, pid_1: init.Init, environ: MutableMapping[str, str]) -> None:
        """Start the child, which waits for its order."""
        self.vault = vault = Vault()  # where the secrets will be when the order comes
        self.marks = marks = Marks()
        self.token = token = Vault()  # so that nobody says it
        self.loaded: dict[str, Any] = {}  # what sources.load has returned, for the order
        self._order = os.memfd_create("order")
        inbox, self._outbox = os.pipe()
        log.hold_stdout()  # before capturing: config.sh's words are kept, ours are to be read
        self.child = call.start(
            pid_1,
            lambda: register(self._awaited(inbox), marks, vault, token, environ),
            capture=True,
        )
        os.close(inbox)

    def order(self, name: str) -> None:
        """Tell the child to register a runner of that name."""
        os.write(self._order, json.dumps({**self.loaded, "name": name}).encode())
        os.close(self._outbox)

    def _awaited(self, inbox: int) -> dict[str, Any]:
        """Load what talks to GitHub, the slowest of all, and return the order that came since."""
        from entrypoint import github  # noqa: F401, PLC0415 - PID 1 reads the settings meanwhile

        os.close(self._outbox)
        os.read(inbox, 1)  # until PID 1 closes its end
        size = os.fstat(self._order).st_size
        order: dict[str, Any] = json.loads(os.pread(self._order, size, 0))
        return order

    def output(self, pid_1: init.Init) -> str:
        """Return what config.sh has said, but for the token, should it have said that."""

        def said() -> str:
            self.token.read()
            return log.redact(self.child.output())

        return str(call.wait(pid_1, said))

    def dismiss(self, pid_1: init.Init) -> None:
        """End the child that _beside has started, if it is still there: it knows the credential."""
        alive = [p.pid for p in processes.snapshot() if p.parent == os.getpid()]
        group = [p for p in alive if not pid_1.is_ours(p) and os.getpgid(p) == self.child.pid]
        for pid in group:
            init.kill(pid)
        pid_1.wait_for(lambda: not any(init.kill(pid, 0) for pid in group), time.monotonic() + 2)


def register(
    order: Mapping[str, Any],
    marks: Marks,
    vault: Vault,
    kept: Vault,
    environ: MutableMapping[str, str],
) -> dict[str, Any]:
    """Carry out an order: become config.sh, or return a JIT runner's id and name."""
    from entrypoint import account, github, runner  # noqa: PLC0415
    from entrypoint.settings import Settings  # noqa: PLC0415

    environ.update(order["environment"])  # a proxy, for example
    settings = Settings.restore(order["settings"])
    log.configure(settings.log_level, settings.log_format)
    user = account.require(settings.user)
    deadline = time.monotonic() + settings.github_timeout
    api = github.connect(settings, vault.read(), deadline)
    if settings.registration == "jit":
        return _register_jit(api, settings, order, user, marks)
    token = github.registration_token(api)
    kept.fill({runner.TOKEN_VARIABLE: token})
    marks.begin()
    _beside(api, settings.version, order["earlier"], marks)
    forbid_core_dumps()
    return init.become(
        account.command(settings, user, runner.config_command(settings, order["name"])),
        env={**runner.environment(environ, settings, user), runner.TOKEN_VARIABLE: token},
        cwd=settings.home,
    )


def _register_jit(
    api: Api, settings: Settings, order: Mapping[str, Any], user: Account, marks: Marks
) -> dict[str, Any]:
    from entrypoint import jit  # noqa: PLC0415 - most runners are registered by config.sh

    marks.begin()
    try:
        found, files = jit.jit_config(api, settings, order["name"])
    except Failure as failure:
        if failure.code is not ExitCode.RETRY:  # only then GitHub may have done it all the same
            marks.take_back()
        raise
    jit.write(files, settings.home, user.uid, user.gid)
    _beside(api, settings.version, order["earlier"], marks)
    return {"id": found.id, "name": found.name}


def _beside(api: Api, version: str, earlier: Mapping[str, Any] | None, marks: Marks) -> None:
    """Ask in one more process, beside the registration, what must not delay it."""
    if not (version or earlier):
        return

    def ask() -> bytes:
        if earlier:
            _remove_earlier(api, earlier)
        if version:
            _advise(api, version, marks)
        return b""

    init.Parent().fork(ask, session=False)


def _remove_earlier(api: Api, earlier: Mapping[str, Any]) -> None:
    """Remove the runner that this container was before it was killed, if nobody is it any more."""
    from entrypoint import github  # noqa: PLC0415

    try:
        found = github.get(api, earlier["id"])
        if found is not None and found.name == earlier["name"] and not found.busy:
            github.delete(api, found.id)
            log.info("removed the runner of an earlier start", name=found.name, id=found.id)
    except Failure as failure:
        log.debug("the runner of an earlier start may still be listed", why=failure.message)


def _advise(api: Api, version: str, marks: Marks) -> None:
    """Ask for how long GitHub accepts this version."""
    from entrypoint import deprecation  # noqa: PLC0415 - only where the version is known

    try:
        if said := deprecation.warning(api, version):
            log.warning(said)
    except Failure as failure:
        marks.give_up(failure)
