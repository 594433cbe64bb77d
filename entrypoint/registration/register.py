"""Registering the runner: PID 1's side. What the child does is in register_child.py.

PID 1 forks the child early. The child then loads the modules for GitHub (20 ms, or 70) on one core
while PID 1 has the settings read on the other. The child asks GitHub for a token and then becomes
config.sh by exec, so that PID 1 never knows the token.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from entrypoint import call, log, redaction
from entrypoint.errors import ExitCode, Failure
from entrypoint.init.child import memory_file
from entrypoint.init.pid1 import Init, Stopped
from entrypoint.registration.record import Progress, Registration
from entrypoint.runner import home
from entrypoint.vault import Vault

if TYPE_CHECKING:
    from entrypoint.init.child import Child
    from entrypoint.registration.remove import Remover
    from entrypoint.settings.schema import Settings

CONFIG_TIMEOUT = 120.0  # seconds; config.sh takes one second, and 3 to 9 if it has to try again
_WAYS = {
    "config": "config.sh registers the runner (RUNNER_REGISTRATION=config)",
    "jit": "a JIT configuration registers the runner (RUNNER_REGISTRATION=jit)",
    "given": "nothing is registered: a JIT configuration was given",
}
CONFIG_GRACE = 3.0  # seconds that config.sh may continue after a stop has arrived


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
        # The child never writes into this pipe. Its end is closed on exec, so the reader sees the
        # end of the file once the child has become config.sh or has ended.
        self._busy, busy = os.pipe()
        self._meanwhile: Child | None = None
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
        for descriptor in (inbox, gate, busy, stdout):
            os.close(descriptor)

    def order(self, prepared: Mapping[str, Any], settings: Settings) -> None:
        """Tell the child to register the runner.

        `prepared` is the result of prepare_child. A second child asks GitHub about the version, and
        about a runner that an earlier start has left, because these questions must not delay the
        registration.
        """
        os.write(self._order, json.dumps(prepared).encode())
        _tell(self._outbox)
        earlier = prepared["earlier"]
        if settings.registration != "given" and (settings.version or earlier):
            self._meanwhile = self._ask_meanwhile(settings, earlier)
        os.close(self._busy)

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
        order: dict[str, Any] = json.loads(os.pread(self._order, size, 0))
        return order

    def _ask_meanwhile(self, settings: Settings, earlier: Mapping[str, Any] | None) -> Child:
        def ask() -> bytes:
            # Wait until the child has become config.sh: until then the registration needs all of
            # the processor's time.
            os.read(self._busy, 1)
            if self.progress.begun():
                from entrypoint.registration import meanwhile_child  # loads requests

                meanwhile_child.ask(settings, self.vault, earlier, self.progress)
            return b""

        return self._init.fork(ask)

    def forget_token(self) -> None:
        """Forget the registration token: config.sh has ended, and nothing else needs it."""
        self._token.forget()

    def forget_credential(self) -> None:
        """Forget a JIT configuration that was given, because its files are written."""
        self.vault.forget()

    def output(self) -> str:
        """Return the output of config.sh, with the token redacted if config.sh has printed it."""

        def said() -> str:
            self._token.read()
            return redaction.redact(self.child.output())

        return str(call.wait(self._init, said))

    def dismiss(self) -> None:
        """Kill the second child if it is still alive, because it knows the credential."""
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


@contextmanager
def registered(
    pid_1: Init,
    child: RegisteringChild,
    settings: Settings,
    remover: Remover,
    prepared: Mapping[str, Any],
    ready: Callable[[], None] = lambda: None,
) -> Iterator[Registration]:
    """Register the runner for a `with` block, and remove it from GitHub's list afterwards.

    `ready` waits until all that a job needs is there, while the child asks for the token. It may
    raise a Failure.
    """
    registration = remover.registration
    try:
        started = time.monotonic()
        log.debug("life.decision", _WAYS[settings.registration])
        child.order(prepared, settings)
        _configure(pid_1, child, settings, registration, started, ready)
        child.forget_token()
        took = round(time.monotonic() - started, 3)
        log.belongs_to(name=registration.name, id=registration.id)
        log.info(
            "runner.registered" if registration.ours else "runner.given",
            "the runner is registered" if registration.ours else "the registration was given",
            name=registration.name,
            id=registration.id,
            target=str(settings.target),
            labels=list(settings.labels),
            seconds=took,
        )
        child.progress.require_version()
        yield registration
    finally:
        pid_1.begin_cleanup()
        if registration.maybe_listed:
            remover.remove_at_exit()


def _configure(
    pid_1: Init,
    registering: RegisteringChild,
    settings: Settings,
    registration: Registration,
    started: float,
    ready: Callable[[], None],
) -> None:
    """Wait for config.sh, or for the JIT configuration, and note the result in `registration`."""
    child = registering.child
    try:
        ready()
        registering.go()
        outcome = _await(pid_1, registering, settings, started + settings.github_timeout)
    finally:
        ended = child.outcome is not None
        if not ended:
            # Set before `end`, which may raise Stopped: the clean-up must know that GitHub may
            # list the runner.
            registration.cut_short()
        pid_1.end(child)
        _take_in(registering.progress, settings, registration, ended=ended)
    _require_success(registering, settings, registration, outcome)


def _require_success(
    registering: RegisteringChild,
    settings: Settings,
    registration: Registration,
    outcome: int | None,
) -> None:
    """Note the result of a JIT configuration; raise a Failure if the registration has failed."""
    child = registering.child
    if child.answer():
        registration.renamed(call.result(child))
    if settings.registration == "given" and outcome == 0:
        found = home.record(settings.home)
        registration.given(found.id if found else None)
        registering.forget_credential()
    elif outcome != 0:
        if not registering.progress.begun():
            call.result(child)  # the child failed before it became config.sh: raise its Failure
        output = registering.output()
        if outcome is not None and _is_refused(output):
            registration.not_made()
        raise _config_failed(outcome, output)


def _take_in(
    progress: Progress, settings: Settings, registration: Registration, *, ended: bool
) -> None:
    found = home.record(settings.home)
    if not progress.begun():
        registration.not_made()
    elif ended or (found and found.id is not None):
        registration.made(found.id if found else None)


def _await(
    pid_1: Init, registering: RegisteringChild, settings: Settings, asked_by: float
) -> int | None:
    """Wait for the end of config.sh; after a stop only for CONFIG_GRACE, and then raise Stopped."""
    child = registering.child
    deadline = asked_by + CONFIG_TIMEOUT
    try:
        # The child tells by its exit code if GitHub has not answered by `asked_by`.
        if pid_1.wait(child, time.monotonic() + call.SLOW) is None:
            if settings.registration != "config" or not registering.progress.begun():
                call.tell_wait("GitHub's answer", asked_by)
                pid_1.wait(child, asked_by)
            if child.outcome is None:
                call.tell_wait("config.sh", deadline)
        return pid_1.wait(child, deadline)
    except Stopped:
        pid_1.stop.begin(settings.stop_timeout)
        # Killing config.sh does not cancel a request that GitHub already has. Wait for config.sh,
        # even after a second signal; otherwise all that is left is to poll GitHub's list.
        if registering.progress.begun():
            pid_1.wait(child, time.monotonic() + CONFIG_GRACE)
        raise


# What config.sh prints when GitHub refuses (actions/runner). Nothing is registered until it prints
# that the runner was added.
_REFUSED = re.compile(r"Http response code: (?:Unauthorized|Forbidden|NotFound) from 'POST ")
_ADDED = "Runner successfully added"
_NO_GROUP = re.compile(r'Could not find any self-hosted runner group named "([^"]*)"')
_HTTP = re.compile(r"Http response code: (\w+) from '([^']*)'")


def _is_refused(output: str) -> bool:
    """Whether GitHub has refused config.sh before the runner was registered."""
    return bool(_REFUSED.search(output)) and _ADDED not in output


def _config_failed(outcome: int | None, output: str) -> Failure:
    """Return the Failure that the output of config.sh means; its banner is left out."""
    said = [line.strip() for line in output.splitlines() if re.search(r"[^\W_]", line)]
    said = [line for line in said if "Self-hosted runner registration" not in line]
    words = "\n".join(line for line in said if not line.startswith("#"))[-2000:]
    if named := _NO_GROUP.search(output):
        return Failure(
            ExitCode.CONFIG,
            f"RUNNER_GROUP: GitHub has no runner group {named[1]!r} that this list may use",
            "make it there, or give the name of one that is there; `gh-runner check` lists them",
        )
    if _is_refused(output):
        return Failure(
            ExitCode.REFUSED,
            f"GitHub refused config.sh: {words}",
            "a registration token (RUNNER_TOKEN) is valid for an hour, and for the list of runners"
            " that it was made for; with a personal access token or an App each start asks for one",
        )
    told = "did not end" if outcome is None else f"ended with {outcome}"
    hint = (
        "GitHub or a proxy before it answered so; https://www.githubstatus.com tells of trouble"
        if _HTTP.search(output)
        else "these are the words of GitHub's own program"
    )
    return Failure(ExitCode.RUNNER, f"config.sh {told} and said:\n{words}", hint)
