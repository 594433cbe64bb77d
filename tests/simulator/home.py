"""A distribution of the simulator's runner and a user that runs its programs."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import pwd
import shutil
import signal
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import requests

from simulator import Simulator

USER = "nobody"
URL = "https://github.com/acme/shop"
RUNNERS = "repos/acme/shop/actions/runners"
Program = subprocess.Popen[str]


class RunnerHome:
    """A runner's root folder; its programs run as nobody, each in a session of its own."""

    def __init__(self, simulator: Simulator, path: Path, **options: Any) -> None:
        self.simulator = simulator
        self.path = simulator.make_distribution(path, owner=USER, **options)
        self.env = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8"}
        self.started: list[Program] = []

    def start(self, program: str, *arguments: str, **options: Any) -> Program:
        """Start one of the programs; `env` adds to the environment."""
        entry = pwd.getpwnam(USER)
        env = self.env | options.pop("env", {})
        as_root = options.pop("root", False)
        user: dict[str, Any] = {"user": USER, "group": entry.pw_gid, "extra_groups": []}
        process = subprocess.Popen(
            [self.path / program, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            env=env,
            cwd="/",
            **({} if as_root else user),
            **options,
        )
        self.started.append(process)
        return process

    def run(self, program: str, *arguments: str, **options: Any) -> tuple[int, str]:
        """Run a program to its end: its exit code and its output."""
        return finish(self.start(program, *arguments, **options))

    def configure(self, *arguments: str, **options: Any) -> tuple[int, str]:
        """Run config.sh as the product does; more arguments go before the usual ones."""
        usual = ["--unattended", "--url", URL, "--token", self.token(), "--name", "r"]
        return self.run("config.sh", *arguments, *usual, **options)

    def configured(self, *arguments: str) -> RunnerHome:
        """Register this runner, ephemeral unless told otherwise."""
        code, output = self.configure(*(arguments or ("--ephemeral",)))
        assert code == 0, output
        return self

    def listen(self, program: str = "run.sh", *arguments: str, **options: Any) -> Program:
        """Start the listener and wait for its session."""
        before = self.simulator.last_event()
        words = arguments if program == "run.sh" else ("run", *arguments)
        process = self.start(program, *words, **options)
        event = self.simulator.wait_for("session_opened", after=before)
        self.simulator.wait_for("listening", after=before)
        self.listener = int(event["pid"])
        return process

    def work(self, script: str, **options: Any) -> tuple[Program, dict[str, Any]]:
        """Start the listener and give it a job whose worker has started."""
        process = self.listen(**options)
        job = self.simulator.queue_job(script)
        event = self.simulator.wait_for("worker_started", job_id=job["id"])
        self.worker = int(event["pid"])
        return process, job

    def token(self, kind: str = "registration") -> str:
        """A registration or remove token of the repository."""
        return str(self.post(f"{RUNNERS}/{kind}-token")["token"])

    def jit(self, name: str = "r") -> str:
        """The configuration of a just-in-time runner."""
        body = {"name": name, "runner_group_id": 1, "labels": ["self-hosted"]}
        return str(self.post(f"{RUNNERS}/generate-jitconfig", body)["encoded_jit_config"])

    def save_jit(self, encoded: str) -> None:
        """Write a configuration's files, as a starter does that keeps it out of sight."""
        for name, content in json.loads(base64.b64decode(encoded)).items():
            (self.path / name).write_bytes(base64.b64decode(content))
            shutil.chown(self.path / name, USER)

    def post(self, path: str, body: Any = None) -> Any:
        """POST to the REST API; the answer's JSON."""
        headers = {"Authorization": "Bearer ghp_simulator"}
        url = f"{self.simulator.url}/{path}"
        return requests.post(url, json=body, headers=headers, timeout=30).json()

    def files(self) -> set[str]:
        """The identity files that are there."""
        return {path.name for path in self.path.glob(".*") if path.name not in (".env", ".path")}

    def record(self) -> dict[str, Any]:
        """What `.runner` says."""
        return dict(json.loads((self.path / ".runner").read_text(encoding="utf-8-sig")))

    def trace(self) -> str:
        """All that is in _diag."""
        return "".join(path.read_text() for path in sorted(self.path.glob("_diag/*.log")))

    def end(self) -> None:
        """Kill whatever a test has left behind."""
        sessions = {process.pid for process in self.started}
        for pid in processes_of(self.path, sessions):
            os.kill(pid, signal.SIGKILL)
        for process in self.started:
            process.kill()
            process.communicate()


def finish(process: Program, timeout: float = 30) -> tuple[int, str]:
    """The exit code and the output of a program, as soon as it has ended."""
    output, _ = process.communicate(timeout=timeout)
    return process.returncode, output


def comm(pid: int) -> str:
    """The name of a process as the kernel knows it."""
    return Path(f"/proc/{pid}/comm").read_text().strip()


def processes_of(root: Path, sessions: set[int]) -> Iterable[int]:
    """Whatever was started from a distribution, or belongs to one of these sessions."""
    for entry in Path("/proc").glob("[0-9]*"):
        pid = int(entry.name)
        with contextlib.suppress(OSError):
            if bytes(root) in (entry / "cmdline").read_bytes() or os.getsid(pid) in sessions:
                yield pid
