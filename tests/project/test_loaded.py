"""What each role loads: each further import costs every start time, or every idle PID 1 memory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from simulator import Simulator
from tests.support import mutants, pki, wire
from tests.support.life import Life

# A mutant has this code at some place; it writes down the modules that are loaded there.
TELL = "import sys\nwith open({!r}, 'w') as f:\n    f.write(' '.join(sys.modules))\nOLD"

EXEC = {"entrypoint", "entrypoint.init"} | {
    f"entrypoint.init.{name}" for name in ("child", "command", "pid1", "processes", "signals")
}
# Loaded by PID 1 before it forks the children that prepare and register.
BEFORE_FORK = {
    "entrypoint",
    "__main__",
    *("call", "api_usage", "errors", "json_text", "log", "redaction", "vault"),
    *("init", "init.child", "init.pid1", "init.processes", "init.signals"),
    *("lifecycle", "lifecycle.prepare"),
    *("registration", "registration.record", "registration.register"),
    *("settings", "settings.plan"),
}
# Loaded by an idle PID 1.
IDLE = BEFORE_FORK | {
    *("container", "container.files", "container.kernel", "container.state"),
    "container.termination_message",
    *("lifecycle.engine", "lifecycle.hangs", "lifecycle.life", "lifecycle.figures"),
    *("lifecycle.log_lines", "lifecycle.stop_file", "lifecycle.stopping", "lifecycle.scene"),
    *("lifecycle.credential_drop", "lifecycle.pause", "lifecycle.signal_lines"),
    *("lifecycle.watching", "registration.remove", "runner", "runner.home", "runner.listener"),
}
PLACES = {
    "before the fork": "RegisteringChild.__init__",
    "idle": "Idle.__init__",
    "registering": "register_child._token",
}
# An idle PID 1 has none of these: each costs some megabytes, or milliseconds at the start.
HEAVY = {"requests", "urllib3", "ssl", "http", "structlog", "asyncio", "psutil", "jwt", "dotenv"}
# The first loads the others: 1.2 MB.
HEAVY |= {"dataclasses", "inspect", "ast", "tokenize"}
# Each of these loads the last two: 0.6 to 1.7 MB.
HEAVY |= {"json", "re", "enum", "typing", "contextlib", "functools", "collections"}


def ours(names: str) -> set[str]:
    """Return the names of our own modules among these."""
    return {name for name in names.split() if name.partition(".")[0] == "entrypoint"}


def package(names: set[str]) -> set[str]:
    """Return the full names of our own modules."""
    return {name if name == "entrypoint" else f"entrypoint.{name}" for name in names}


def loaded(life: Life, simulator: Simulator, place: str, **env: str) -> str:
    """Return the names of the modules that are loaded when a life comes to a place."""
    told = life.directory / "modules"
    life.program = mutants.mutated(
        life.directory, mutants.body(PLACES[place], TELL.format(str(told)))
    )
    told.touch()
    told.chmod(0o666)
    life.start(**env)
    simulator.wait_for("listening")
    life.signal().wait()
    return told.read_text()


def test_exec_loads_the_init_alone() -> None:
    """`gh-runner exec` starts as fast as a bare Python does."""
    program = [sys.executable, "-I", "-X", "importtime", "-m", "entrypoint", "exec", "true"]
    said = subprocess.run(program, capture_output=True, text=True, check=True).stderr
    assert ours(" ".join(line.rpartition("|")[2] for line in said.splitlines())) == EXEC


def test_little_is_loaded_before_the_fork(life: Life, simulator: Simulator) -> None:
    """PID 1 loads no more than this before it forks its first children, which must wait."""
    assert ours(loaded(life, simulator, "before the fork")) == package(BEFORE_FORK)


@pytest.mark.parametrize(
    ("env", "more"),
    [
        ({}, set()),
        ({"RUNNER_LOG_FORMAT": ""}, set()),
        ({"RUNNER_REGISTRATION": "jit"}, set()),
        ({"RUNNER_CREDENTIAL": "until-job"}, {"runner.hook"}),
        ({"HTTPS_PROXY": "http://svc:hunter2@127.0.0.1:1"}, set()),  # not for http:// addresses
    ],
    ids=["JSON log", "plain log", "JIT", "until-job", "password"],
)
@pytest.mark.parametrize("way", ["environment", "env file"])
def test_idle_pid_1_has_loaded_nothing_heavy(
    life: Life, simulator: Simulator, way: str, env: dict[str, str], more: set[str]
) -> None:
    """Code that speaks to GitHub, reads settings or explains failures is loaded elsewhere only."""
    if way == "env file":
        file = life.directory / "env"
        file.write_text(f"GITHUB_PERSONAL_TOKEN={life.env.pop('GITHUB_PERSONAL_TOKEN')}\n")
        env = {**env, "RUNNER_ENVFILE": str(file)}
    names = loaded(life, simulator, "idle", **env)
    assert ours(names) == package(IDLE | more)
    assert {name.partition(".")[0] for name in names.split()} & HEAVY == set()


def test_plain_registration_loads_no_requests(life: Life, simulator: Simulator) -> None:
    """The child that registers sends its first request by the standard library alone."""
    names = set(loaded(life, simulator, "registering").split())
    assert "http.client" in names
    assert {"requests", "urllib3", "jwt", "structlog"} & names == set()


@pytest.mark.parametrize("through", ["authority", "proxy"])
def test_a_companys_network_loads_no_requests(through: str, life: Life, tmp_path: Path) -> None:
    """The same holds with a private authority, and through a proxy that wants a password."""
    authority = pki.authority(tmp_path)
    with (
        Simulator("--certificate", str(authority.certify())) as life.simulator,
        wire.server(wire.tunnel(life.simulator.tls_port, [], "svc:secret")) as port,
    ):
        life.simulator.make_distribution(life.home, owner="nobody")
        names = loaded(
            life,
            life.simulator,
            "registering",
            GITHUB_API_URL=f"https://127.0.0.1:{life.simulator.tls_port}",
            RUNNER_CA_FILE=str(authority.path),
            HTTPS_PROXY=f"http://svc:secret@127.0.0.1:{port}" if through == "proxy" else "",
        ).split()
    assert "http.client" in names
    assert {"requests", "urllib3", "jwt", "structlog"} & {*names} == set()


def test_packages_are_empty() -> None:
    """A package's `__init__` is a docstring alone, so that importing a module loads no other."""
    root = Path(__file__).parents[2] / "entrypoint"
    long = [path for path in root.rglob("__init__.py") if len(path.read_text().splitlines()) > 1]
    assert long == []
