"""The container engine for jobs: dockerd or podman's service in this container, or a given one.

dockerd is started directly, because its init script sets ulimits, which fails under sysbox. The
engine is ready before the runner is registered, and it is ended after everything else.
"""

from __future__ import annotations

import os
import time

from entrypoint import call, log
from entrypoint.container import files
from entrypoint.errors import ExitCode, Failure
from entrypoint.init import signals
from entrypoint.runner import home

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from entrypoint.init.child import Child
    from entrypoint.init.pid1 import Init
    from entrypoint.settings.plan import Plan

READY_TIMEOUT = 60.0  # seconds, if WAIT is not set; dockerd needs some five
END_TIMEOUT = 3.0  # seconds between TERM and KILL; no job is left by then
CLEANUP_TIMEOUT = 8.0  # seconds
_ASKING_TIME = 0.5  # seconds that the child that asks an engine has left to say why it fails
_KEEPER_TIME = 0.5  # seconds that the log's keeper has to write an engine's last words
_CLEANUP_RESERVE = 0.3  # seconds of a stop that are kept for the steps after the clean-up
SOCKET = "/run/docker.sock"
ADDRESS = "DOCKER_HOST"  # a variable of Docker's client: where the engine is
WAIT = "RUNNER_WAIT_FOR_DOCKER_IN_SECONDS"  # a variable of GitHub's runner, read by run.sh as well
_PID_FILES = ("/run/docker.pid", "/run/docker/containerd/containerd.pid")
_STARTED_HERE = ("docker", "podman")
_LOG = "engine.log"  # in the state directory
# A shell that copies its stdin to the file $0, and keeps the last 5 to 10 MB in $0 and $0.1.
# Without stdbuf, head writes its output in blocks of some kilobytes, so the last lines would be
# missing when they are needed.
_KEEP = """
command -v stdbuf >/dev/null && at_once='stdbuf --output=0'
while $at_once head -c 5000000 >"$0" && [ "$(wc -c <"$0")" -ge 5000000 ]; do mv "$0" "$0.1"; done
"""


class Engine:
    """The engine of one runner; `child` is None if the engine was given, or if there is none."""

    def __init__(self, pid_1: Init, plan: Plan) -> None:
        """Start the engine, unless it was given. Raises a Failure (69)."""
        self._init, self._plan = pid_1, plan
        self.kind = plan.engine_kind
        self._started = time.monotonic()
        self._output = os.path.join(plan.state_dir, _LOG)
        self._is_told = False
        self.label = ""
        self.child: Child | None = None
        self._keeper: Child | None = None
        self._before: Child | None = None
        words = f"container engine for jobs: {self.kind}"
        if plan.engine == "auto":
            log.info("engine.chosen", words, why=plan.engine_why)
        else:
            log.debug("engine.chosen", words, why=plan.engine_why)
        for warning in plan.engine_warnings:
            log.warning("engine.shared", warning)
        if self.kind in _STARTED_HERE:
            self._start()

    def __enter__(self) -> Engine:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Clean up a given engine, or end the one that was started here."""
        self._init.begin_cleanup()
        self.clean_up()
        if self.child is None:
            return
        if self.child.outcome is None:
            signals.terminate(self.child.pid)
            self._init.wait(self.child, time.monotonic() + END_TIMEOUT, hurry=True)
        self._init.end(self.child)

    def _start(self) -> None:
        try:
            self._prepare()
            keeper = os.pipe()
            try:
                environment = self._plan.engine_environment
                self._keeper = self._init.spawn(
                    ["sh", "-c", _KEEP, self._output], env=environment, stdin=keeper[0]
                )
                command = self._command()
                self.child = self._init.spawn(command, env=environment, output=keeper[1])
            finally:
                for descriptor in keeper:
                    os.close(descriptor)
        except OSError as error:
            what = f"{error.filename}: {error.strerror}" if error.filename else str(error.strerror)
            raise self._failed(f"cannot be started: {what}") from None

    def _prepare(self) -> None:
        """Make the directories for the socket and the log, and an empty log."""
        # dockerd refuses to start if such a file names a process that is alive. In a container that
        # was started again, the file is old, and the process is another one.
        if self._init.is_pid_1:
            for path in _PID_FILES:
                try:
                    os.unlink(path)
                except FileNotFoundError:
                    pass
        os.close(files.open_directory(os.path.dirname(SOCKET)))
        directory = files.open_directory(os.path.dirname(self._output))
        try:
            files.put(directory, _LOG, b"")
        finally:
            os.close(directory)

    def _command(self) -> list[str]:
        def made() -> list[str]:
            from entrypoint.lifecycle import engine_choice  # PID 1 must not load it

            plan = self._plan
            return engine_choice.command(self.kind, plan.settings, plan.engine_environment)

        command: list[str] = call.wait(self._init, made)
        return command

    def await_ready(self) -> None:
        """Wait until the engine answers. Raises a Failure (69) if it ends or takes too long."""
        seconds = waiting_time(self._plan.engine_environment)
        if self.child is not None:
            self._await(f"unix://{SOCKET}", seconds or READY_TIMEOUT, own=True)
        elif self.kind == "given" and seconds:
            self._await(given_address(self._plan.engine_environment), seconds, own=False)
        else:
            return
        took = round(time.monotonic() - self._started, 3)
        log.info("engine.ready", "the engine is ready", engine=self.kind, seconds=took)
        if self.child is not None and (self.kind == "podman" or self._given(ADDRESS)):
            self._plan.runner_environment[ADDRESS] = f"unix://{SOCKET}"
        if self.kind == "podman":
            # podman's service has no BuildKit: `docker build` would fetch one from a registry.
            self._plan.runner_environment.setdefault("DOCKER_BUILDKIT", "0")

    def _given(self, variable: str) -> str:
        """Return what the operator has set a variable to; "" if it is not set."""
        return self._plan.engine_environment.get(variable, "")

    def _await(self, address: str, seconds: float, *, own: bool) -> None:
        deadline = time.monotonic() + seconds
        settings, environment = self._plan.settings, self._plan.engine_environment

        def ask() -> str:
            from entrypoint.lifecycle import engine_child

            why = engine_child.await_answer(address, deadline, own=own)
            if own and not why:
                from entrypoint.lifecycle import engine_choice

                version, driver = engine_child.about(address)
                engine_choice.warn_of(self.kind, settings, environment, version, driver)
            return why

        asking, why = call.start(self._init, ask), "it does not answer"
        try:
            call.wait_for(
                self._init,
                lambda: asking.outcome is not None or self.has_ended,
                deadline + _ASKING_TIME,
                f"the container engine ({self.kind})",
            )
            if not self.has_ended and asking.outcome is not None:
                why = call.result(asking)
        finally:
            call.end(self._init, asking)
        if why == "":
            return
        if not own:
            from entrypoint.lifecycle import engine_choice  # only here, after a failure

            raise engine_choice.unanswered(address, seconds, why)
        late = f"did not answer within {seconds:g} s"
        told = f"ended with {self.outcome}" if self.has_ended else late
        raise self._failed(f"{told}: {self.last_words()}")

    @property
    def outcome(self) -> int | None:
        """The exit code of the engine that was started here; None while it runs."""
        return self.child.outcome if self.child is not None else None

    @property
    def has_ended(self) -> bool:
        """Whether the engine that was started here has ended."""
        return self.outcome is not None

    @property
    def is_news(self) -> bool:
        """Whether the engine has ended and `tell_death` has not logged it yet."""
        return self.has_ended and not self._is_told

    def died(self) -> Failure:
        """Return the Failure that ends the runner if the engine ends while there is no job."""
        return self._failed(f"has ended with {self.outcome}: {self.last_words()}")

    def tell_death(self) -> None:
        """Log once that the engine has ended while a job runs."""
        if self.has_ended and not self._is_told:
            self._is_told = True
            log.error(
                "engine.died",
                f"the container engine ({self.kind}) has ended with {self.outcome} during the job",
                tail=self.last_words(),
            )

    def last_words(self) -> str:
        """Return the last lines of the engine's log."""
        if self.has_ended and self._keeper is not None:
            self._init.wait(self._keeper, time.monotonic() + _KEEPER_TIME)
        return home.tail(self._output) or home.tail(f"{self._output}.1")

    def take_label(self) -> None:
        """Keep the label that GitHub's runner gives to the containers of its job.

        Call it before a job: the label is computed from `.runner`, which the runner deletes after
        the job.
        """
        if self.kind == "given":  # in a child, because to hash loads OpenSSL
            self.label = call.wait(self._init, lambda: home.container_label(self._plan.home))

    def job_begins(self) -> None:
        """Let a child note what a shared engine has before the job's first step."""
        if self._before is None and self._cleans_up:

            def look() -> dict[str, str] | None:
                from entrypoint.lifecycle import engine_child

                return engine_child.unassigned(self._plan.engine_environment)

            try:
                self._before = call.start(self._init, look)
            except OSError:  # fork fails at the pids limit
                pass

    @property
    def _cleans_up(self) -> bool:
        return self.kind == "given" and bool(self.label) and self._plan.engine_cleanup

    def clean_up(self) -> None:
        """Remove the job's containers, networks and images from an engine that was given.

        What has no label of a runner stays; log what of that has appeared since the job began.
        """
        if not self._cleans_up:
            return
        seconds = min(CLEANUP_TIMEOUT, max(0.5, self._init.stop.left() - _CLEANUP_RESERVE))
        environment, before = self._plan.engine_environment, self._seen()

        def remove() -> list[list[str]]:
            from entrypoint.lifecycle import engine_child

            problems = engine_child.remove_labelled(self.label, environment)
            now = {} if before is None else engine_child.unassigned(environment) or {}
            return [problems, sorted(now[ident] for ident in now.keys() - set(before or ()))]

        try:
            found = call.wait(self._init, remove, time.monotonic() + seconds)
        except (Failure, OSError) as error:
            found = [[str(error)], []]
        if found is None:
            found = [[f"the engine did not answer within {seconds:.1f} s"], []]
        problems, others = found
        for problem in problems:
            log.warning(
                "engine.not_cleaned",
                "containers or networks of this job may be left on the engine",
                why=problem,
                hint=f"docker ps --all --filter label={self.label}",
            )
        if others:
            log.warning(
                "engine.unassigned",
                "these have come to the shared engine since the job began, and may be this job's:"
                " no label says whose they are, so they stay",
                left=others,
                hint="a step that starts a container removes it, in a step with `if: always()`",
            )

    def _seen(self) -> dict[str, str] | None:
        """Return what the engine had when the job began; None if that is not known."""
        if self._before is None:
            return None
        try:
            if self._before.outcome is not None:
                found: dict[str, str] | None = call.result(self._before)
                return found
        except Failure:  # the child was killed
            pass
        finally:
            call.end(self._init, self._before)
            self._before = None
        return None

    def _failed(self, why: str) -> Failure:
        from entrypoint.lifecycle import engine_choice  # only here, after a failure

        return Failure(
            ExitCode.ENGINE,
            f"the container engine ({self.kind}) {why}",
            engine_choice.hint(self.kind),
        )


def given_address(environ: Mapping[str, str]) -> str:
    """Return where an engine is that was given: as DOCKER_HOST says, or behind Docker's socket."""
    return environ.get(ADDRESS) or f"unix://{SOCKET}"


def waiting_time(environ: Mapping[str, str]) -> float:
    """Return for how many seconds to wait for an engine; 0 if the operator has not said so."""
    value = environ.get(WAIT, "")
    return float(value) if value.isascii() and value.isdigit() else 0.0
