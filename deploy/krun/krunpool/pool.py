"""All loops, and what they share."""

from __future__ import annotations

import asyncio
import math
import random
import secrets
import shutil
import time
import traceback
from collections.abc import Sequence
from typing import Any

from krunpool.commands import Stop, first_of
from krunpool.config import SHARED, Config
from krunpool.errors import (
    CLIENT_FAILURES,
    CONFIG,
    DEFECT,
    DONE,
    ENGINE,
    LEFT,
    MEANINGS,
    REFUSED,
    RETRY,
    STOPPED,
    VERSION,
    Problem,
)
from krunpool.folder import Folder
from krunpool.instance import Instance
from krunpool.life import Ended, Life
from krunpool.log import Log
from krunpool.runtimes import Krunvm, Podman, Runtime

SWEEP_WAIT = 600  # seconds; GitHub drops a job that was lost after some ten minutes
SWEEP_SECONDS = SWEEP_WAIT + 240.0  # includes the microVM's own time
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 300.0  # seconds between two failures of one loop


class Pauses:
    """The pauses of one loop, each of which is twice as long as the one before."""

    def __init__(self) -> None:
        """Begin with the shortest pause."""
        self._next = FIRST_PAUSE

    def after_failure(self) -> float:
        """Return the seconds to wait, varied at random, so that loops do not start together."""
        pause, self._next = self._next, min(2 * self._next, LONGEST_PAUSE)
        return pause * random.uniform(0.9, 1.1)  # noqa: S311 - no secret

    def reset(self) -> None:
        """Begin with the shortest pause again, since a start has succeeded."""
        self._next = FIRST_PAUSE


class Pool:
    """All loops, and what they share."""

    def __init__(self, config: Config, runtime: Runtime, log: Log, stop: Stop) -> None:
        """Make the folder; OSError if that fails."""
        self._config, self._runtime, self._log, self._stop = config, runtime, log, stop
        self._instance = Instance(config.directory, config.prefix)
        self._pulling = asyncio.Lock()
        self._sweeps: dict[str, asyncio.Task[bool]] = {}
        self._system = ""

    async def run(self) -> int:
        """Run until all loops have ended or a signal comes; return the exit code."""
        try:
            await self._take_down_abandoned()
            loops: list[asyncio.Task[int]] = []
            for number in range(1, self._config.runners + 1):
                started = asyncio.Event()
                loops.append(asyncio.create_task(self._loop(number, started)))
                await self._until_next(loops[-1], started)
                if self._stop.asked.is_set() or any(_is_hopeless(loop) for loop in loops):
                    break
            codes = await asyncio.gather(*loops)
            return await self._finish(codes)
        finally:
            self._instance.release()

    async def _until_next(self, loop: asyncio.Task[int], started: asyncio.Event) -> None:
        """Wait until the next loop may start: the one before listens, has ended, or is slow."""
        signs = [started.wait()] if self._config.waits else []
        await first_of(self._config.sleep, loop, self._stop.asked.wait(), *signs)

    async def _finish(self, codes: Sequence[int]) -> int:
        """Wait for the sweeps; return the exit code for all loops."""
        waiting = [task for task in self._sweeps.values() if not task.done()]
        if waiting:
            self._log.info("waiting until killed runners are off GitHub's list")
            everything = asyncio.gather(*waiting, return_exceptions=True)
            await first_of(math.inf, everything, self._stop.hurried.wait())
        left = [name for name, task in self._sweeps.items() if not _has_worked(task)]
        if left:
            self._log.error(
                f"may still be on GitHub's list: {', '.join(left)};"
                " `gh-runner sweep --prefix NAME` removes them"
            )
            return LEFT
        if self._stop.signum:
            return 128 + self._stop.signum
        return next((code for code in codes if code), DONE)

    async def _loop(self, number: int, started: asyncio.Event) -> int:
        """Start one microVM after the other; return the exit code of the last failure."""
        try:
            return await self._rounds(number, started)
        except Exception:  # noqa: BLE001 - a defect here must not end the other loops' runners
            self._log.error(f"a defect of this program:\n{traceback.format_exc()}")
            return DEFECT

    async def _rounds(self, number: int, started: asyncio.Event) -> int:
        pauses, runs, code = Pauses(), 0, DONE
        refused = ""  # the id of an image whose runner version GitHub refuses
        while runs < self._config.runs and not self._stop.asked.is_set():
            runs += 1
            name = f"{self._config.prefix}-{number}-{random_word()}"
            ended = await self._round(name, started, refused)
            if ended is None:
                break
            code = ended.code
            refused = await self._image_id() if code == VERSION else ""
            pause = self._judge(name, ended, pauses)
            if pause is None:
                break
            if runs < self._config.runs:
                await first_of(pause, self._stop.asked.wait())
        if code in CLIENT_FAILURES:
            return ENGINE
        return DONE if code in STOPPED else code

    def _judge(self, name: str, ended: Ended, pauses: Pauses) -> float | None:
        """Return the seconds of the pause after this end; None if the loop is over."""
        told = f"ended with {ended.code} ({MEANINGS.get(ended.code, 'unknown')})"
        if ended.left:
            self._sweeps[name] = asyncio.create_task(self._sweep(name))
        elif self._stop.asked.is_set() or ended.asked or ended.code == DONE:
            self._log.info(told, name)
            pauses.reset()
            return 0.0
        elif ended.code == VERSION:
            self._log.warning(f"{told}: the image is pulled before the next start", name)
            return 0.0
        elif ended.code in (REFUSED, CONFIG):
            self._log.error(f"{told}: the loop ends, since trying again would not help", name)
            return None
        elif ended.code in STOPPED:
            self._log.warning(f"{told}, and not by us: the loop ends", name)
            return None
        pause = pauses.after_failure()
        self._log.warning(f"{told}; the next one starts in {pause:.0f} s", name)
        return pause

    async def _round(self, name: str, started: asyncio.Event, refused: str) -> Ended | None:
        """Pull the image, and run one microVM to its end; None if a stop came first."""
        here = await self._pull(name)
        if refused and await self._image_id() == refused:
            pause = LONGEST_PAUSE
            self._log.warning(f"there is no newer image; a pause of {pause:.0f} s", name)
            await first_of(pause, self._stop.asked.wait())
            here = await self._pull(name)
        if self._stop.asked.is_set():
            return None
        if not here:
            return Ended(ENGINE)
        try:
            folder = self._folder(name)
        except (OSError, Problem) as error:
            why = error.strerror if isinstance(error, OSError) else error
            self._log.warning(f"its folder cannot be made in {self._instance.path}: {why}", name)
            return Ended(RETRY)
        return await self._live(folder, started)

    async def _live(self, folder: Folder, started: asyncio.Event) -> Ended:
        life = Life(folder, self._runtime, self._config, self._log)
        telling = asyncio.create_task(_pass_on(life.listening, started))
        self._log.info("starting", folder.name)
        ended = Ended(ENGINE)
        try:
            ended = await life.run(self._stop)
        except OSError as error:
            self._log.warning(f"cannot be started: {error}", folder.name)
        finally:
            telling.cancel()
            await self._runtime.remove(folder)
            if ended.left:  # the folder is kept until the runner is off the list
                folder.forget_settings()
            else:
                folder.remove()
        return ended

    def _folder(self, name: str) -> Folder:
        """Make the folder of a microVM; OSError or a Problem if that fails."""
        self._instance.hold()
        folder = Folder(self._instance.path / name)
        secret = self._config.secret.read() or secrets.token_hex(16)
        own = {
            "RUNNER_NAME": name,
            "RUNNER_STOP_FILE": f"{SHARED}/stop",
            "RUNNER_STOP_SECRET": secret,
        }
        if "RUNNER_LABELS" not in self._config.settings:
            own["RUNNER_LABELS"] = ",".join(filter(None, ("krun", "krunvm", self._system)))
        if self._runtime.is_vm and "RUNNER_ENGINE" not in self._config.settings:
            own["RUNNER_ENGINE"] = "podman"
        credentials = {c.variable: c.read() for c in self._config.credentials}
        try:
            folder.make(
                {**self._config.settings, **own, **credentials}, secret, runtime=self._runtime.name
            )
        except OSError:
            folder.remove()
            raise
        return folder

    async def _pull(self, name: str) -> bool:
        """Pull the image; return whether there is one, perhaps an older one."""
        async with self._pulling:
            answer = await self._runtime.pull(self._config.image, self._stop.asked)
        if self._stop.asked.is_set():
            return False
        if answer.code != 0:
            self._log.warning(f"{self._config.image} cannot be pulled: {answer.words}", name)
        known = await self._runtime.image(self._config.image)
        if known is None:
            self._log.warning(f"there is no image {self._config.image} on this host", name)
            return False
        self._system = known.system
        return True

    async def _image_id(self) -> str:
        known = await self._runtime.image(self._config.image)
        return known.id if known else ""

    async def _sweep(self, name: str) -> bool:
        """Take a runner that could not deregister off GitHub's list; return whether that worked."""
        await asyncio.sleep(self._config.sweep_after)
        try:
            folder = self._folder(f"{name}-sweep")
        except (OSError, Problem) as error:
            self._log.warning(f"cannot be swept: {error}", name)
            return False
        words = ("sweep", "--prefix", f"{name}-", "--older-than", "0", "--wait", f"{SWEEP_WAIT}")
        try:
            process = await self._runtime.start(folder, self._config, words)
            ended = asyncio.create_task(process.wait())
            if not await first_of(SWEEP_SECONDS, ended) or ended.result() != 0:
                return False
            Folder(self._instance.path / name).remove()
            return True
        except OSError as error:
            self._log.warning(f"cannot be swept: {error}", name)
            return False
        finally:
            await self._runtime.remove(folder)
            folder.remove()

    async def _take_down_abandoned(self) -> None:
        """End microVMs of killed orchestrators, before new ones are started."""
        for path in self._instance.abandoned():
            folders = self._instance.folders(path)
            await asyncio.gather(*(self._take_down(folder) for folder in folders))
            shutil.rmtree(path, ignore_errors=True)

    async def _take_down(self, folder: Folder) -> None:
        runtime = choose_named(folder.record().get("runtime"), self._runtime)
        self._log.warning("an orchestrator that was killed has left it: ending it", folder.name)
        deadline = time.monotonic() + self._config.stop_seconds
        if await runtime.running(folder):
            try:
                folder.ask_to_stop()
            except OSError:
                await runtime.terminate(folder, self._config.stop_seconds)
        while await runtime.running(folder) and time.monotonic() < deadline:
            await first_of(0.5, self._stop.hurried.wait())
            if self._stop.hurried.is_set():
                break
        await runtime.remove(folder)
        if folder.phase() not in ("", "gone"):
            folder.path.rename(self._instance.path / folder.name)
            self._sweeps[folder.name] = asyncio.create_task(self._sweep(folder.name))


def choose_named(name: Any, default: Runtime) -> Runtime:
    """Return the runtime of that name."""
    if name == default.name or not isinstance(name, str):
        return default
    if name == "krunvm":
        return Krunvm(default.commands)
    return Podman(default.commands, name.removeprefix("podman+"))


def _has_worked(sweep: asyncio.Task[bool]) -> bool:
    return sweep.done() and not sweep.cancelled() and not sweep.exception() and sweep.result()


def _is_hopeless(loop: asyncio.Task[int]) -> bool:
    """Return whether a loop has ended for a reason that all others would meet."""
    return loop.done() and loop.result() in (REFUSED, CONFIG)


async def _pass_on(sign: asyncio.Event, other: asyncio.Event) -> None:
    await sign.wait()
    other.set()


def random_word() -> str:
    """Return seven letters and digits for a name, so that no other microVM has it."""
    letters = "abcdefghijklmnopqrstuvwxyz0123456789"
    return "".join(secrets.choice(letters) for _ in range(7))
