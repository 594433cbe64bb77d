"""Onto GitHub's list: PID 1's side of the child that registers.

The child is forked early, so that it loads what talks to GitHub (20 ms, or 70) on one core while
PID 1 reads the settings on the other. It asks for a token and then becomes config.sh, so that
PID 1 never knows the token. What the child does is in register_child.py; here is only what both
of them need.
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

CONFIG_TIMEOUT = 120.0  # seconds; config.sh takes one, and 3 to 9 where it tries again
CONFIG_GRACE = 3.0  # seconds that config.sh may go on when a stop arrives


class RegisteringChild:
    """The child, its order, and what it has told."""

    def __init__(self, pid_1: Init, environ: MutableMapping[str, str], vault: Vault) -> None:
        """Start the child, which waits for its order; `vault` is filled by then."""
        self.progress = progress = Progress()
        # The registration token, kept only so that `output` can redact it.
        self._token = token = Vault()
        self._init, self._vault = pid_1, vault
        self._order = memory_file("order")
        inbox, self._outbox = os.pipe()
        gate, self._gate = os.pipe()
        # close-on-exec: closed once the child becomes config.sh, or ends
        self._busy, busy = os.pipe()
        self._meanwhile: Child | None = None
        # config.sh's words are captured, and our own go to the log.
        stdout = fcntl.fcntl(1, fcntl.F_DUPFD_CLOEXEC, 3)

        def live() -> bytes:
            """Load all that takes its time, and carry out the order that has come since."""
            from entrypoint.registration import register_child  # PID 1 never needs it

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

        `prepared` is what prepare_child has found. What is asked about the version, and about the
        runner whose record an earlier life has left, must not delay the registration: another
        child asks that meanwhile.
        """
        os.write(self._order, json.dumps(prepared).encode())
        _tell(self._outbox)
        earlier = prepared["earlier"]
        if settings.registration != "given" and (settings.version or earlier):
            self._meanwhile = self._ask_meanwhile(settings, earlier)
        os.close(self._busy)

    def go(self) -> None:
        """Let the child register: what a job needs is ready."""
        _tell(self._gate)

    def _pass(self, gate: int) -> None:
        """In the child: wait for `go`."""
        os.close(self._gate)
        os.read(gate, 1)

    def _awaited(self, inbox: int) -> dict[str, Any]:
        os.close(self._outbox)
        os.read(inbox, 1)  # until PID 1 has written the order, or is gone
        size = os.fstat(self._order).st_size
        order: dict[str, Any] = json.loads(os.pread(self._order, size, 0))
        return order

    def _ask_meanwhile(self, settings: Settings, earlier: Mapping[str, Any] | None) -> Child:
        def ask() -> bytes:
            os.read(self._busy, 1)  # the two cores belong to the registration until then
            if self.progress.begun():
                from entrypoint.registration import meanwhile_child  # loads requests

                meanwhile_child.ask(settings, self._vault, earlier, self.progress)
            return b""

        return self._init.fork(ask)

    def forget_token(self) -> None:
        """Let go of the registration token, which has served its purpose."""
        self._token.forget()

    def forget_credential(self) -> None:
        """Let go of a JIT configuration that was given: its files are written."""
        self._vault.forget()

    def output(self) -> str:
        """Return what config.sh has said, but for the token, should it have said that."""

        def said() -> str:
            self._token.read()
            return redaction.redact(self.child.output())

        return str(call.wait(self._init, said))

    def dismiss(self) -> None:
        """End the child that asks meanwhile, if it is still there: it knows the credential."""
        if self._meanwhile is not None:
            call.end(self._init, self._meanwhile)
            self._meanwhile = None


def _tell(pipe: int) -> None:
    """Wake the child that reads a pipe.

    The end of the file would not be enough: other children of PID 1 may hold the pipe.
    """
    try:
        os.write(pipe, b"1")
    except BrokenPipeError:  # the child has ended; its outcome tells why
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
    """Register; on the way out see to it that GitHub's list has the runner no more.

    `ready` waits for what a job needs, while the token is asked for; it may raise a Failure.
    """
    registration = remover.registration
    try:
        started = time.monotonic()
        child.order(prepared, settings)
        _configure(pid_1, child, settings, registration, started, ready)
        child.forget_token()
        took = round(time.monotonic() - started, 3)
        log.info(
            "runner.registered" if registration.ours else "runner.given",
            "registered" if registration.ours else "the registration was given",
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
    """Wait for config.sh, or for the JIT configuration, and take in what it has come to."""
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
    """Take in what a JIT configuration has come to; raise the Failure of what has failed."""
    child = registering.child
    if child.answer():
        registration.renamed(call.result(child))
    if settings.registration == "given" and outcome == 0:
        found = home.record(settings.home)
        registration.given(found.id if found else None)
        registering.forget_credential()
    elif outcome != 0:
        if not registering.progress.begun():
            call.result(child)  # it has never become config.sh: what it says is its own
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
    """Wait for the end of config.sh, or what is left of it after a stop."""
    child = registering.child
    try:
        return pid_1.wait(child, asked_by + CONFIG_TIMEOUT)
    except Stopped:
        pid_1.stop.begin(settings.stop_timeout)
        # Killing config.sh does not cancel a request that GitHub already has. Wait for config.sh,
        # even after a second signal; otherwise all that is left is to poll GitHub's list.
        if registering.progress.begun():
            pid_1.wait(child, time.monotonic() + CONFIG_GRACE)
        raise


# What config.sh says where GitHub refuses it, and what that means (actions/runner). Until it says
# that the runner was added nothing is registered.
_REFUSED = re.compile(r"Http response code: (?:Unauthorized|Forbidden|NotFound) from 'POST ")
_ADDED = "Runner successfully added"
_NO_GROUP = re.compile(r'Could not find any self-hosted runner group named "([^"]*)"')
_HTTP = re.compile(r"Http response code: (\w+) from '([^']*)'")


def _is_refused(output: str) -> bool:
    """Whether GitHub has refused config.sh before it had registered."""
    return bool(_REFUSED.search(output)) and _ADDED not in output


def _config_failed(outcome: int | None, output: str) -> Failure:
    """Return the Failure that config.sh's words stand for, without its banner."""
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
