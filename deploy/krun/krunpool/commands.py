"""Running other programs, and waiting for the first of several things."""

from __future__ import annotations

import asyncio
import math
import os
import signal
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, NamedTuple

from krunpool.log import Log

CALL_SECONDS = 60.0  # for a short command of podman, krunvm or buildah
# Beginnings of variables for this program and the runners; no other program gets them.
NOT_FOR_CHILDREN = ("ORCHESTRATOR_", "RUNNER_", "GITHUB_", "ACTIONS_RUNNER_")


class Stop:
    """The signals that ask this program to stop: the first one, and later ones, which hurry."""

    def __init__(self, log: Log) -> None:
        """Handle the signals from now on; needs the running loop."""
        self.signum = 0
        self.asked, self.hurried = asyncio.Event(), asyncio.Event()
        self._log = log
        loop = asyncio.get_running_loop()
        for signum in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            # A shell or nohup lets background programs ignore these signals: that is left so.
            if signum == signal.SIGTERM or signal.getsignal(signum) != signal.SIG_IGN:
                loop.add_signal_handler(signum, self._take, signum)

    def _take(self, signum: int) -> None:
        if self.asked.is_set():
            self._log.warning("a second signal: hurrying")
            self.hurried.set()
            return
        self.signum = signal.SIGTERM if signum == signal.SIGHUP else signum
        self._log.info(f"{signal.Signals(signum).name}: stopping all microVMs")
        self.asked.set()


async def first_of(seconds: float, *what: Coroutine[Any, Any, Any] | asyncio.Future[Any]) -> bool:
    """Wait until one of these is done; False if none is within so many seconds.

    Coroutines are cancelled at the end; futures, which belong to the caller, go on.
    """
    tasks = [asyncio.ensure_future(one) for one in what]
    own = [task for task, one in zip(tasks, what, strict=True) if asyncio.iscoroutine(one)]
    try:
        timeout = None if seconds == math.inf else max(0.0, seconds)
        done, _ = await asyncio.wait(tasks, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        return bool(done)
    finally:
        for task in own:
            task.cancel()


class Answer(NamedTuple):
    """How a command ended, and its output, both streams in one."""

    code: int
    text: str

    @property
    def words(self) -> str:
        """The last line of its output, for a message."""
        lines = [line.strip() for line in self.text.splitlines() if line.strip()]
        return lines[-1][:500] if lines else f"it ended with {self.code}"


class Commands:
    """Runs other programs, which get none of our settings and no signals of our terminal."""

    def __init__(self, log: Log) -> None:
        """Keep the present environment, without the variables for this program and the runner."""
        self._log = log
        self._env = {k: v for k, v in os.environ.items() if not k.startswith(NOT_FOR_CHILDREN)}

    async def start(self, *command: str, **options: Any) -> asyncio.subprocess.Process:
        """Start a program in a session of its own; OSError if it cannot be."""
        self._log.debug(f"running {' '.join(command)}")
        return await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            env=self._env,
            start_new_session=True,
            **options,
        )

    async def call(
        self,
        *command: str,
        seconds: float = CALL_SECONDS,
        until: asyncio.Event | None = None,
    ) -> Answer:
        """Run a program until it ends, its time is over, or an event; then kill it."""
        pipes = {"stdout": asyncio.subprocess.PIPE, "stderr": asyncio.subprocess.STDOUT}
        try:
            process = await self.start(*command, **pipes)
        except OSError as error:
            return Answer(127, f"{command[0]}: {error.strerror}")
        output = asyncio.create_task(process.communicate())
        await first_of(seconds, output, *([until.wait()] if until else []))
        if not output.done():
            kill_group(process.pid)
            await output
            why = "it was interrupted" if until and until.is_set() else f"no end in {seconds:g} s"
            return Answer(124, why)
        stdout, _ = output.result()
        return Answer(process.returncode or 0, stdout.decode("utf-8", "replace"))


def kill_group(pid: int) -> None:
    """Kill a process that leads a group, with its group."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
