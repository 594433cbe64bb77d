"""A distribution of the simulator's runner, whose programs run as an ordinary user."""

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
    """A runner's root folder; its programs run as nobody, each in its own session."""

    def __init__(self, simulator: Simulator, path: Path, **options: Any) -> None:
        self.simulator = simulator
        self.path = simulator.make_distribution(path, owner=USER, **options)
        self.env = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8"}
        self.started: list[Program] = []

    def start(self, program: str, *arguments: str, **options: Any) -> Program:
        """Start one of the programs; `env` is added to its environment."""
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
        """Run a program to its end, and return its exit code and output."""
        return finish(self.start(program, *arguments, **options))

    def configure(self, *arguments: str, **options: Any) -> tuple[int, str]:
        """Run config.sh as gh-runner does; `arguments` come before the usual ones."""
        usual = ["--unattended", "--url", URL, "--token", self.token(), "--name", "r"]
        return self.run("config.sh", *arguments, *usual, **options)

    def configured(self, *arguments: str) -> RunnerHome:
        """Register this runner, as an ephemeral one unless there are arguments."""
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
        """Start the listener, give it a job, and wait for its worker."""
        process = self.listen(**options)
        job = self.simulator.queue_job(script)
        event = self.simulator.wait_for("worker_started", job_id=job["id"])
        self.worker = int(event["pid"])
        return process, job

    def token(self, kind: str = "registration") -> str:
        """Return a registration or remove token of the repository."""
        return str(self.post(f"{RUNNERS}/{kind}-token")["token"])

    def jit(self, name: str = "r") -> str:
        """Return the configuration of a just-in-time runner."""
        body = {"name": name, "runner_group_id": 1, "labels": ["self-hosted"]}
        return str(self.post(f"{RUNNERS}/generate-jitconfig", body)["encoded_jit_config"])

    def save_jit(self, encoded: str) -> None:
        """Write the files of a configuration, so that no command line holds it."""
        for name, content in json.loads(base64.b64decode(encoded)).items():
            (self.path / name).write_bytes(base64.b64decode(content))
            shutil.chown(self.path / name, USER)

    def post(self, path: str, body: Any = None) -> Any:
        """POST to the REST API, and return the value of the answer."""
        headers = {"Authorization": "Bearer ghp_simulator"}
        url = f"{self.simulator.url}/{path}"
        return requests.post(url, json=body, headers=headers, timeout=30).json()

    def files(self) -> set[str]:
        """Return the names of the identity files that are there."""
        return {path.name for path in self.path.glob(".*") if path.name not in (".env", ".path")}

    def record(self) -> dict[str, Any]:
        """Return what `.runner` says."""
        return dict(json.loads((self.path / ".runner").read_text(encoding="utf-8-sig")))

    def trace(self) -> str:
        """Return the content of all logs in _diag."""
        return "".join(path.read_text() for path in sorted(self.path.glob("_diag/*.log")))

    def end(self) -> None:
        """Kill every process that a test has left."""
        sessions = {process.pid for process in self.started}
        for pid in processes_of(self.path, sessions):
            os.kill(pid, signal.SIGKILL)
        for process in self.started:
            process.kill()
            process.communicate()


def finish(process: Program, timeout: float = 30) -> tuple[int, str]:
    """Wait for a program, and return its exit code and output."""
    output, _ = process.communicate(timeout=timeout)
    return process.returncode, output


def comm(pid: int) -> str:
    """Return the name of a process as the kernel knows it."""
    return Path(f"/proc/{pid}/comm").read_text().strip()


def processes_of(root: Path, sessions: set[int]) -> Iterable[int]:
    """Yield the processes of a distribution and those of these sessions."""
    for entry in Path("/proc").glob("[0-9]*"):
        pid = int(entry.name)
        with contextlib.suppress(OSError):
            if bytes(root) in (entry / "cmdline").read_bytes() or os.getsid(pid) in sessions:
                yield pid
