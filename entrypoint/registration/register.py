"""Registering the runner: PID 1's side. What the child does is in register_child.py.

PID 1 forks the child early. The child then loads the modules for GitHub (20 ms, or 70) on one core
while PID 1 has the settings read on the other. The child asks GitHub for a token and then becomes
config.sh by exec, so that PID 1 never knows the token.
"""

from __future__ import annotations

import fcntl
import marshal  # as in vault.py
import os
import time

from entrypoint import call, log
from entrypoint.errors import Failure
from entrypoint.init.child import memory_file
from entrypoint.init.pid1 import Stopped
from entrypoint.registration.record import Progress
from entrypoint.vault import Vault

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, MutableMapping
    from typing import Any

    from entrypoint.init.child import Child
    from entrypoint.init.pid1 import Init
    from entrypoint.registration.record import Registration
    from entrypoint.settings.plan import Plan

CONFIG_TIMEOUT = 120.0  # seconds; config.sh takes one second, and 3 to 9 if it has to try again
_WAYS = {
    "config": "config.sh registers the runner (RUNNER_REGISTRATION=config)",
    "jit": "a JIT configuration registers the runner (RUNNER_REGISTRATION=jit)",
    "given": "nothing is registered: a JIT configuration was given",
}
CONFIG_GRACE = 3.0  # seconds that config.sh may continue after a stop has arrived
_READ_TIMEOUT = 5.0  # seconds; the record is a small file on a local disk


class RegisteringChild:
    """The child that registers: it gets one order, and reports its progress and its output."""

    def __init__(self, pid_1: Init, environ: MutableMapping[str, str], vault: Vault) -> None:
        """Start the child, which waits for its order; `vault` must be filled before the order."""
        self.progress = progress = Progress()
        # The registration token, kept only so that `output` can redact it.
        self._token = token = Vault()
        self._init, self.vault = pid_1, vault
        self._order = memory_file("order")
        inbox, self._outbox = os.pipe()
        gate, self._gate = os.pipe()
        # The child never writes into this pipe. Its end is closed on exec, so a read returns once
        # the child has become config.sh or has ended.
        self._at_exec, until_exec = os.pipe()
        self._meanwhile: Child | None = None
        self._reader: Child | None = None
        self._ended = -1
        # The child's stdout is captured for the output of config.sh. Its own log lines go here.
        stdout = fcntl.fcntl(1, fcntl.F_DUPFD_CLOEXEC, 3)

        def live() -> bytes:
            """Load all modules, then wait for the order and carry it out."""
            from entrypoint.registration import register_child  # PID 1 must not load it

            log.write_to(stdout)
            return call.answer(
                lambda: register_child.register(
                    self._awaited(inbox), lambda: self._pass(gate), progress, vault, token, environ
                )
            )

        self.child = pid_1.fork(live, capture=True)
        for descriptor in (inbox, gate, until_exec, stdout):
            os.close(descriptor)

    def order(self, order: Mapping[str, Any], plan: Plan) -> None:
        """Tell the child to register the runner, by the order that prepare_child has made.

        A second child asks GitHub about the version, and about a runner that an earlier start has
        left, because these questions must not delay the registration. A third one will read the
        record that config.sh writes.
        """
        os.write(self._order, marshal.dumps(dict(order)))
        _tell(self._outbox)
        earlier = order["earlier"]
        if plan.registration != "given" and (plan.version or earlier):
            self._meanwhile = self._ask_meanwhile(plan, earlier)
        if plan.registration == "config":
            self._reader = self._read_record(plan.home)
        os.close(self._at_exec)

    def go(self) -> None:
        """Let the child register, because all that a job needs is ready."""
        _tell(self._gate)

    def _pass(self, gate: int) -> None:
        """In the child: wait for `go`."""
        os.close(self._gate)
        os.read(gate, 1)

    def _awaited(self, inbox: int) -> dict[str, Any]:
        os.close(self._outbox)
        os.read(inbox, 1)  # returns once PID 1 has written the order, or has ended
        size = os.fstat(self._order).st_size
        written = os.pread(self._order, size, 0)
        order: dict[str, Any] = marshal.loads(written)  # noqa: S302 - by PID 1
        return order

    def _ask_meanwhile(self, plan: Plan, earlier: Mapping[str, Any] | None) -> Child:
        def ask() -> bytes:
            # Wait until the child has become config.sh: until then the registration needs all of
            # the processor's time.
            os.read(self._at_exec, 1)
            if self.progress.begun():
                from entrypoint.registration import meanwhile_child  # loads requests

                meanwhile_child.ask(plan.settings, self.vault, earlier, self.progress)
            return b""

        return self._init.fork(ask)

    def _read_record(self, folder: str) -> Child:
        """Have a child load what reads the record, and wait until config.sh has written it.

        A child does this because PID 1 does without `json`, and beside config.sh because the
        loading takes some 10 ms.
        """
        ended, self._ended = os.pipe()

        def read() -> int | None:
            os.close(self._ended)
            os.read(self._at_exec, 1)  # as above
            import json  # noqa: F401 - what `record` needs

            from entrypoint.runner import home

            os.read(ended, 1)
            found = home.record(folder)
            return found.id if found else None

        reader = call.start(self._init, read)
        os.close(ended)
        return reader

    def recorded_id(self) -> int | None:
        """Return the id that config.sh has written down; None if there is none, or none is read.

        Without its id, the runner is found on GitHub's list by its name.
        """
        if self._reader is None:
            return None
        reader, self._reader = self._reader, None
        try:
            _tell(self._ended)
            deadline = time.monotonic() + _READ_TIMEOUT
            if self._init.wait(reader, deadline) is None:
                return None
            number: int | None = call.result(reader)
        except Failure as failure:  # it was killed
            log.debug("runner.record_unread", "no record was read", why=failure.message)
            return None
        finally:
            call.end(self._init, reader)
        return number

    def forget_token(self) -> None:
        """Forget the registration token: config.sh has ended, and nothing else needs it."""
        self._token.forget()

    def forget_credential(self) -> None:
        """Forget a JIT configuration that was given, because its files are written."""
        self.vault.forget()

    def output(self) -> str:
        """Return the output of config.sh, with the token redacted if config.sh has printed it."""

        def said() -> str:
            from entrypoint import redaction

            self._token.read()
            return redaction.redact(self.child.output())

        return str(call.wait(self._init, said))

    def end_meanwhile(self) -> None:
        """Kill the child that asks meanwhile if it is alive, because it knows the credential."""
        if self._meanwhile is not None:
            call.end(self._init, self._meanwhile)
            self._meanwhile = None


def _tell(pipe: int) -> None:
    """Wake the child that reads from a pipe, and close the pipe."""
    # Closing alone would not wake it, because other children of PID 1 may have the pipe open.
    try:
        os.write(pipe, b"1")
    except BrokenPipeError:  # the child has ended; its exit code will tell why
        pass
    os.close(pipe)


def register(
    pid_1: Init,
    registering: RegisteringChild,
    plan: Plan,
    order: Mapping[str, Any],
    registration: Registration,
    ready: Callable[[], None] = lambda: None,
) -> None:
    """Register the runner, and note in `registration` what GitHub may list, also after a failure.

    `ready` waits until all that a job needs is there, while the child asks for the token. It may
    raise a Failure.
    """
    started = time.monotonic()
    log.debug("life.decision", _WAYS[plan.registration])
    registering.order(order, plan)
    _configure(pid_1, registering, plan, registration, started, ready)
    registering.forget_token()
    took = round(time.monotonic() - started, 3)
    log.belongs_to(name=registration.name, id=registration.id)
    log.info(
        "runner.registered" if registration.ours else "runner.given",
        "the runner is registered" if registration.ours else "the registration was given",
        name=registration.name,
        id=registration.id,
        target=plan.target,
        labels=list(plan.labels),
        seconds=took,
    )
    registering.progress.require_version()


def _configure(
    pid_1: Init,
    registering: RegisteringChild,
    plan: Plan,
    registration: Registration,
    started: float,
    ready: Callable[[], None],
) -> None:
    """Wait for config.sh, or for the JIT configuration, and note the result in `registration`."""
    child = registering.child
    try:
        ready()
        registering.go()
        outcome = _await(pid_1, registering, plan, started + plan.github_timeout)
    finally:
        ended = child.outcome is not None
        if not ended:
            # Set before `end`, which may raise Stopped: the clean-up must know that GitHub may
            # list the runner.
            registration.cut_short()
        pid_1.end(child)
        _take_in(registering, registration, ended=ended)
    _require_success(registering, plan, registration, outcome)


def _take_in(registering: RegisteringChild, registration: Registration, *, ended: bool) -> None:
    """Note whether GitHub may list the runner, and by which id."""
    if not registering.progress.begun():
        registration.not_made()
        return
    if ended:
        registration.made(None)  # before the wait below, which may raise Stopped
        if registering.child.answer():  # of a JIT configuration; the id is in it
            return
    number = registering.recorded_id()
    if ended or number is not None:
        registration.made(number)


def _require_success(
    registering: RegisteringChild, plan: Plan, registration: Registration, outcome: int | None
) -> None:
    """Note the result of a JIT configuration; raise a Failure if the registration has failed."""
    child = registering.child
    if child.answer():
        name, number = call.result(child)
        if plan.registration == "given":
            registration.given(number)
            registering.forget_credential()
        else:
            registration.made(number)
        registration.renamed(name)
    elif outcome != 0:
        if not registering.progress.begun():
            call.result(child)  # the child failed before it became config.sh: raise its Failure
        from entrypoint.registration import config_output  # only here, after a failure

        output = registering.output()
        if outcome is not None and config_output.is_refused(output):
            registration.not_made()
        raise config_output.failure(outcome, output)


def _await(pid_1: Init, registering: RegisteringChild, plan: Plan, asked_by: float) -> int | None:
    """Wait for the end of config.sh; after a stop only for CONFIG_GRACE, and then raise Stopped."""
    child = registering.child
    deadline = asked_by + CONFIG_TIMEOUT
    try:
        # The child tells by its exit code if GitHub has not answered by `asked_by`.
        if pid_1.wait(child, time.monotonic() + call.SLOW) is None:
            if plan.registration != "config" or not registering.progress.begun():
                call.tell_wait("GitHub's answer", asked_by)
                pid_1.wait(child, asked_by)
            if child.outcome is None:
                call.tell_wait("config.sh", deadline)
        return pid_1.wait(child, deadline)
    except Stopped:
        pid_1.stop.begin(plan.stop_timeout)
        # Killing config.sh does not cancel a request that GitHub already has. Wait for config.sh,
        # even after a second signal; otherwise all that is left is to poll GitHub's list.
        if registering.progress.begun():
            pid_1.wait(child, time.monotonic() + CONFIG_GRACE)
        raise
