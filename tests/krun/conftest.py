"""An orchestrator, and the calls that it has made."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from tests.support.life import until

ROOT = Path(__file__).parents[2]
ORCHESTRATOR = ROOT / "deploy/krun/orchestrator"
TOKEN = "ghp_only_for_the_runner"
ENGINES = Path(__file__).parent / "fakes/engines.py"


class Orchestrator:
    """The program on a PATH that has stand-ins only."""

    def __init__(self, directory: Path) -> None:
        """Make the stand-ins; there is an image, and no registry."""
        self.directory, self.fake = directory, directory / "fake"
        self.shared = directory / "shared"
        self.bin = directory / "bin"
        self.token = directory / "token"
        self.token.write_text(TOKEN + "\n")
        self.processes: list[subprocess.Popen[bytes]] = []
        (self.fake / "running").mkdir(parents=True)
        self.bin.mkdir()
        (self.fake / "image").write_text("sha256:old")
        self.install("podman", "runtime")
        self.live({})
        self.env = {"PATH": f"{self.bin}:/usr/bin:/bin", "FAKE_DIR": str(self.fake)}

    def install(self, *programs: str) -> None:
        """Put stand-ins on PATH."""
        for program in programs:
            path = self.bin / program
            path.write_text(f'#!/bin/sh\nexec {sys.executable} {ENGINES} "$0" "$@"\n')
            path.chmod(0o755)

    def live(self, *lives: dict[str, Any]) -> None:
        """Plan the lives of the microVMs; the last plan is that of all further ones."""
        (self.fake / "lives").write_text("\n".join(map(json.dumps, lives)))

    def start(
        self,
        *words: str,
        runner: Sequence[str] = (),
        wrapper: Sequence[str] = (),
        env: Mapping[str, str] = MappingProxyType({}),
    ) -> Orchestrator:
        """Start it; `runner` are words after the --, beside those that are always needed."""
        usual = [*("-R", "podman+runtime"), *("-d", str(self.shared)), "-v"]
        theirs = [*("-T", f"@{self.token}"), *("-p", "acme/shop"), *("-i", "example.com/image:1")]
        command = [sys.executable, str(ORCHESTRATOR), *usual, *words, "--", *theirs, *runner]
        return self.run([*wrapper, *command], env)

    def run(
        self, command: Sequence[str], env: Mapping[str, str] = MappingProxyType({})
    ) -> Orchestrator:
        """Start a whole command line."""
        with (self.directory / "log").open("ab") as log:
            self.processes.append(
                subprocess.Popen(
                    command,
                    env={**self.env, **env},
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    cwd=self.directory,
                )
            )
        return self

    def wait(self, timeout: float = 30) -> int:
        """Return the exit code of the run that was started last."""
        return self.processes[-1].wait(timeout)

    def signal(self, signum: int = signal.SIGTERM) -> Orchestrator:
        """Send it a signal."""
        self.processes[-1].send_signal(signum)
        return self

    @property
    def log(self) -> str:
        """Everything that was printed."""
        return (self.directory / "log").read_text()

    def calls(self, program: str = "", command: str = "") -> list[list[str]]:
        """Return the words of each call; `program` and `command`, its first word, select some."""
        return [
            call["words"]
            for call in self._lines("calls")
            if program in ("", call["program"]) and (not command or call["words"][0] == command)
        ]

    def environments(self) -> list[dict[str, str]]:
        """Return the environment of each call."""
        return [call["environment"] for call in self._lines("calls")]

    def seen(self) -> list[dict[str, Any]]:
        """Return what each microVM was given: settings, arguments, pid."""
        return self._lines("seen")

    def _lines(self, name: str) -> list[dict[str, Any]]:
        path = self.fake / name
        lines = path.read_text().split("\n")[:-1] if path.exists() else []
        return [json.loads(line) for line in lines]

    def until_listening(self, number: int = 1) -> Orchestrator:
        """Wait until this number of microVMs has been seen to listen."""
        until(lambda: self.log.count("listening for a job") >= number)
        return self

    def folders(self) -> list[Path]:
        """Return the folders of microVMs that exist."""
        return sorted(path.parent for path in self.shared.glob("*/*/record.json"))

    def alive(self) -> list[int]:
        """Return the pids of the microVMs that live."""
        return [life["pid"] for life in self.seen() if is_alive(life["pid"])]

    def end(self) -> None:
        """Kill and remove what a failed test has left."""
        for process in self.processes:
            process.kill()
            process.wait()
        for pid in self.alive():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def is_alive(pid: int) -> bool:
    """Return whether a process exists and is no zombie."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().split(")")[-1].split()[0] != "Z"
    return False


def option(words: list[str], name: str) -> str:
    """Return the value of an option in a command line."""
    return words[words.index(name) + 1]


def options(words: list[str], name: str) -> list[str]:
    """Return the values of an option that is repeated."""
    return [words[i + 1] for i, word in enumerate(words) if word == name]


@pytest.fixture
def token(tmp_path: Path) -> Path:
    """Return a file that holds a token."""
    (tmp_path / "token").write_text(TOKEN)
    return tmp_path / "token"


@pytest.fixture
def new_orchestrator(tmp_path: Path) -> Iterator[Callable[[], Orchestrator]]:
    """Return a function that makes orchestrators, each with its own stand-ins."""
    made: list[Orchestrator] = []

    def make() -> Orchestrator:
        directory = tmp_path / f"{len(made)}"
        directory.mkdir()
        made.append(Orchestrator(directory))
        return made[-1]

    yield make
    for orchestrator in made:
        orchestrator.end()
        sys.stdout.write(orchestrator.log if (orchestrator.directory / "log").exists() else "")


@pytest.fixture
def orchestrator(new_orchestrator: Callable[[], Orchestrator]) -> Orchestrator:
    """An orchestrator with stand-ins for podman and its runtime."""
    return new_orchestrator()
