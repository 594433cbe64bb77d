"""One microVM from its start to its end."""

from __future__ import annotations

import asyncio
import time
from typing import NamedTuple

from krunpool.commands import CALL_SECONDS, Stop, first_of, kill_group
from krunpool.config import STOP_MARGIN, Config
from krunpool.errors import DONE, KILLED, LEFT, STOPPED
from krunpool.folder import Folder
from krunpool.log import Log
from krunpool.runtimes import Runtime

LOOK_EVERY = 0.25  # seconds; the file systems that microVMs share send no notifications
BOOT_SECONDS = 300.0  # PID 1 of a microVM must write state.json within them


class Ended(NamedTuple):
    """How a microVM has ended."""

    code: int
    asked: bool = False  # the orchestrator has asked for the end
    left: bool = False  # its runner may still be on GitHub's list


class Life:
    """One microVM from its start to its end."""

    def __init__(self, folder: Folder, runtime: Runtime, config: Config, log: Log) -> None:
        """Keep what the microVM needs; nothing is started."""
        self.folder = folder
        self._runtime, self._config, self._log = runtime, config, log
        self.listening = asyncio.Event()

    async def run(self, stop: Stop) -> Ended:
        """Start it, and wait for its end or cause it; OSError if it cannot be started."""
        process = await self._runtime.start(self.folder, self._config, ())
        exited = asyncio.create_task(self._exit_code(process))
        asked = await self._until_due(exited, stop)
        if not exited.done():
            await self._take_down(exited, stop)
            if not exited.done():  # even its client does not end
                kill_group(process.pid)
        return self._ended(await exited, asked)

    async def _until_due(self, exited: asyncio.Task[int | None], stop: Stop) -> bool:
        """Wait until it ends or has to stop, by a signal or -k; return whether it has to stop."""
        end = time.monotonic() + self._config.lifetime
        watching = asyncio.create_task(self._watch())
        await first_of(self._config.lifetime, exited, watching, stop.asked.wait())
        if watching.done() and watching.result():
            await first_of(end - time.monotonic(), exited, stop.asked.wait())
        watching.cancel()
        if exited.done():
            return False
        planned = stop.asked.is_set() or time.monotonic() >= end
        if not planned:
            self._log.warning(f"no sign of PID 1 in {BOOT_SECONDS:.0f} s", self.folder.name)
        why = "a signal" if stop.asked.is_set() else "-k" if planned else "that"
        self._log.info(f"stopping it because of {why}", self.folder.name)
        return planned

    async def _exit_code(self, process: asyncio.subprocess.Process) -> int | None:
        """Wait for the end; None if the exit code cannot be known.

        If podman's client is killed, the container lives on, and its exit code gets lost.
        """
        code = await process.wait()
        if code >= 0:
            return code
        if await self._runtime.running(self.folder):
            self._log.warning("its client was killed; it lives on", self.folder.name)
        while await self._runtime.running(self.folder):  # noqa: ASYNC110 - there is no event for it
            await asyncio.sleep(1)
        return None

    async def _watch(self) -> bool:
        """Wait until the runner listens, and return True; False if PID 1 writes no state."""
        deadline = time.monotonic() + BOOT_SECONDS
        while (phase := self.folder.phase()) in ("", "registering"):
            if not phase and time.monotonic() > deadline:
                return False
            await asyncio.sleep(LOOK_EVERY)
        if phase != "gone":  # otherwise the life has ended, and its exit code comes soon
            self._log.info("listening for a job", self.folder.name)
            self.listening.set()
        if self.folder.forget_settings():
            self._log.warning("the runner had left its env file there", self.folder.name)
        return True

    async def _take_down(self, exited: asyncio.Task[int | None], stop: Stop) -> None:
        """Ask for a stop, wait for the end, and kill the microVM if its time is over."""
        limit = time.monotonic() + self._config.stop_seconds
        if not self._ask():
            await self._runtime.terminate(self.folder, self._config.stop_seconds)
        await first_of(limit - time.monotonic(), exited, stop.hurried.wait())
        if not exited.done() and stop.hurried.is_set():
            self._ask()  # a second stop hurries the runner as well
            await first_of(min(STOP_MARGIN, limit - time.monotonic()), exited)
        if not exited.done():
            self._log.warning("it did not stop in time and is killed", self.folder.name)
            await self._runtime.remove(self.folder)
            await first_of(CALL_SECONDS, exited)

    def _ask(self) -> bool:
        try:
            self.folder.ask_to_stop()
        except OSError as error:
            self._log.warning(f"no stop by file: {error.strerror}", self.folder.name)
            return False
        return True

    def _ended(self, code: int | None, asked: bool) -> Ended:
        """Judge the end: only `gone` in state.json proves that the runner has deregistered."""
        phase = self.folder.phase()
        if code is None:
            code = DONE if phase == "gone" else KILLED
        if phase:
            return Ended(code, asked, code == LEFT or phase != "gone")
        # Without a state.json, because PID 1 came not so far or the folder is gone, the exit code
        # decides. After a signal to a microVM that is its monitor's code, and not PID 1's.
        own = code <= 128 or (code in STOPPED and not self._runtime.is_vm)
        return Ended(code, asked, code == LEFT or (self.listening.is_set() and not own))
