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
# Loaded by PID 1 before it forks the child that registers; the child uses them as well.
BEFORE_FORK = {
    "entrypoint",
    *("call", "errors", "figures", "log", "redaction", "vault"),
    *("init", "init.child", "init.pid1", "init.processes", "init.signals"),
    *("container", "container.account", "container.kernel"),
    *("registration", "registration.record", "registration.register"),
    *("runner", "runner.home"),
    *("settings", "settings.parsers", "settings.schema", "settings.target"),
}
PLACES = {
    "before the fork": "RegisteringChild.__init__",
    "idle": "Idle.__init__",
    "registering": "register_child._token",
}
# An idle PID 1 has none of these: each costs some megabytes, or milliseconds at the start.
HEAVY = {"requests", "urllib3", "ssl", "http", "structlog", "asyncio", "psutil", "jwt", "dotenv"}
HEAVY |= {"dataclasses", "inspect", "ast", "tokenize"}  # the first loads the others: 1.2 MB


def ours(names: str) -> set[str]:
    """Return the names of our own modules among these."""
    return {name for name in names.split() if name.partition(".")[0] == "entrypoint"}


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
    """PID 1 loads no more than this before it forks the child that registers, which must wait."""
    found = loaded(life, simulator, "before the fork")
    assert ours(found) - {"entrypoint.__main__"} == {
        name if name == "entrypoint" else f"entrypoint.{name}" for name in BEFORE_FORK
    }


def test_idle_pid_1_has_loaded_nothing_heavy(life: Life, simulator: Simulator) -> None:
    """Only PID 1's children load what talks to GitHub, reads settings or prints in colour."""
    names = loaded(life, simulator, "idle").split()
    assert {name.partition(".")[0] for name in names} & HEAVY == set()
    children_only = {name for name in ours(" ".join(names)) if name.endswith("_child")}
    assert children_only == set()
    assert not [name for name in names if name.startswith("entrypoint.github")]


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
