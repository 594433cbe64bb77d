"""The stand-ins for ECS and GitHub, and a step that uses both."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from simulator import Simulator
from tests.action.runner import Listener
from tests.action.stand_in import REGION, Body, Ecs

ROOT = Path(__file__).parent.parent.parent
HERE = Path(__file__).parent
ACTION: dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text())
SCRIPT: str = ACTION["runs"]["steps"][0]["run"]
TOKEN = "ghp_simulator"
RUN_ID = "77"


@pytest.fixture(scope="session")
def ecs_of_session() -> Iterator[Ecs]:
    """Start the stand-in once."""
    with Ecs() as ecs:
        yield ecs


@pytest.fixture
def ecs(ecs_of_session: Ecs) -> Ecs:
    """Return the stand-in with a task definition `gh-runner` and without a task."""
    ecs_of_session.reset()
    ecs_of_session.register()
    return ecs_of_session


@pytest.fixture(scope="session")
def aws_command(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory for PATH with the stand-in for the aws command, and with a Python."""
    directory = tmp_path_factory.mktemp("bin")
    # $STEP_PYTHON is for the oldest Python that the action supports.
    python = os.environ.get("STEP_PYTHON", sys.executable)
    (directory / "python3").symlink_to(os.path.realpath(python))
    command = directory / "aws"
    source = (HERE / "aws_command.py").read_text()
    command.write_text(f"#!{sys.executable} -IS\n{source}")
    command.chmod(0o755)
    return directory


@dataclass
class Step:
    """One run of the action's program, as the machine of a job runs it."""

    environ: dict[str, str]
    outputs_file: Path
    output: str = ""
    code: int | None = None
    process: subprocess.Popen[str] | None = None
    _reader: threading.Thread | None = field(default=None, repr=False)

    def start(self) -> Step:
        """Start it as the machine starts a step with `shell: bash`."""
        script = self.outputs_file.with_suffix(".sh")
        script.write_text(SCRIPT)
        self.process = subprocess.Popen(
            ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", str(script)],
            env=self.environ,
            cwd=self.outputs_file.parent,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        return self

    def wait(self, timeout: float = 120) -> Step:
        """Wait until it has ended."""
        assert self.process is not None
        self.output, _ = self.process.communicate(timeout=timeout)
        self.code = self.process.returncode
        return self

    def cancel(self) -> Step:
        """Cancel it as GitHub does: SIGINT, SIGTERM after 7.5 s, SIGKILL 2.5 s later.

        Each signal goes to the started process only, and not to its children.
        """
        assert self.process is not None
        self.process.send_signal(signal.SIGINT)
        for signum, seconds in ((signal.SIGTERM, 7.5), (signal.SIGKILL, 2.5)):
            try:
                return self.wait(seconds)
            except subprocess.TimeoutExpired:
                self.process.send_signal(signum)
        return self.wait()

    @property
    def outputs(self) -> dict[str, str]:
        """The outputs that it has set; a later entry replaces an earlier one."""
        text = self.outputs_file.read_text() if self.outputs_file.exists() else ""
        found = re.findall(r"(?ms)^([^\n<]+)<<(\S+)\n(.*?)\n\2$", text)
        return {name: value for name, _, value in found}

    @property
    def errors(self) -> list[str]:
        """Its errors as GitHub shows them: `title: message`."""
        found = re.findall(r"(?m)^::error(?: title=([^:]*))?::(.*)$", self.output)
        return [unescaped(f"{title}: {message}") for title, message in found]


def unescaped(text: str) -> str:
    """Return the text of a workflow command as GitHub shows it."""
    for code, character in (("%0A", "\n"), ("%0D", "\r"), ("%3A", ":"), ("%2C", ",")):
        text = text.replace(code, character)
    return text.replace("%25", "%")


class Steps:
    """Makes steps of one job."""

    def __init__(self, environ: Mapping[str, str], directory: Path) -> None:
        self._environ = environ
        self._directory = directory
        self.made: list[Step] = []
        self.temporary = Path(environ["RUNNER_TEMP"])

    def where(self, **environ: str) -> Steps:
        """Return a maker of steps with these variables; one with an empty value is removed."""
        other = Steps({**self._environ, **environ}, self._directory)
        other.made = self.made
        return other

    def start(self, **inputs: str) -> Step:
        """Start a step."""
        texts = {"cluster": "runners", "token": TOKEN, **inputs}
        outputs = self._directory / f"outputs-{len(self.made)}"
        whole = {
            **self._environ,
            "GH_RUNNER_INPUTS": json.dumps(texts),
            "GITHUB_OUTPUT": str(outputs),
        }
        step = Step({name: text for name, text in whole.items() if text}, outputs)
        self.made.append(step)
        return step.start()

    def run(self, **inputs: str) -> Step:
        """Start a step and wait for its end."""
        return self.start(**inputs).wait()


@pytest.fixture
def steps(ecs: Ecs, simulator: Simulator, aws_command: Path, tmp_path: Path) -> Iterator[Steps]:
    """Make steps of one job; afterwards fail if a secret is in a place where none belongs."""
    temporary = tmp_path / "temp"
    temporary.mkdir()
    environ = {
        "PATH": f"{aws_command}:{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "GITHUB_ACTION_PATH": str(ROOT),
        "RUNNER_TEMP": str(temporary),
        "AWS_ENDPOINT_URL": ecs.url,
        "AWS_REGION": REGION,
        "AWS_ACCESS_KEY_ID": "AKIA0",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "GITHUB_API_URL": simulator.url,
        "GITHUB_REPOSITORY": "acme/shop",
        "GITHUB_RUN_ID": RUN_ID,
        "GITHUB_RUN_ATTEMPT": "1",
        "GITHUB_JOB": "launch",
    }
    made = Steps(environ, tmp_path)
    yield made
    for step in made.made:
        if step.process and step.process.poll() is None:
            step.process.kill()
            step.wait()
        sys.stdout.write(step.output)
    _no_secret_is_astray(made, ecs, temporary)


def _no_secret_is_astray(steps: Steps, ecs: Ecs, temporary: Path) -> None:
    """Fail if the token is in a request, command line or log, or a JIT configuration in a log."""
    for call in ecs.calls:
        assert TOKEN not in json.dumps([call.request, call.argv, dict(call.environ)])
    for step in steps.made:
        shown = step.output.replace(f"::add-mask::{TOKEN}\n", "")
        assert TOKEN not in shown
        assert not [jit for jit in jit_configurations(ecs) if jit in shown]
    left = [path for path in temporary.iterdir() if not path.name.startswith("gh-runner-launch-")]
    assert not left
    for path in temporary.iterdir():
        text = path.read_text()
        assert not [secret for secret in (TOKEN, *jit_configurations(ecs)) if secret in text]


def environment(request: Body) -> dict[str, str]:
    """Return the variables that a RunTask request sets in its first container."""
    container = request["overrides"]["containerOverrides"][0]
    return {item["name"]: item["value"] for item in container["environment"]}


def jit_configurations(ecs: Ecs) -> list[str]:
    """Return the JIT configurations in the requests for tasks."""
    requests = ecs.asked("ecs run-task")
    found = [environment(request).get("RUNNER_JITCONFIG", "") for request in requests]
    return [jit for jit in found if jit]


@pytest.fixture
def listeners(ecs: Ecs) -> list[Listener]:
    """Let each started task be a runner that is online at once."""
    found: list[Listener] = []

    def run(_task: Body, request: Body) -> None:
        listener = Listener(environment(request)["RUNNER_JITCONFIG"])
        found.append(listener)
        listener.open()

    ecs.on_run = run
    return found


def until(condition: Any, seconds: float = 20.0) -> None:
    """Wait until a condition is true; AssertionError after `seconds`."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.02)
