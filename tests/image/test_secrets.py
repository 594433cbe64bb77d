"""A job finds none of the secrets, neither as its own user nor as root by sudo.

At every moment a health check runs, and a process that `docker exec` has started.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from simulator import Simulator
from tests.image.cell import FILE, LEFTOVER, ROOT, RUNNER, Cell
from tests.image.conftest import StartRunner
from tests.probe.looks import Finding, unexpected
from tests.probe.needles import APP_ID, of_app
from tests.support.life import until

ENV_FILE = "GITHUB_PERSONAL_TOKEN={}\n"
TOKEN_FILE = {"GITHUB_PERSONAL_TOKEN_FILE": FILE}
UNTIL_JOB = {"RUNNER_ENVFILE": FILE, "RUNNER_CREDENTIAL": "until-job"}
PTRACE = ("--cap-add", "SYS_PTRACE")
REMOVE_TOKEN = "remove token"
SIDE_BY_SIDE = 3  # lives; more are no faster on two cores, and a stop has a time limit
KINDS = {
    *("PAT", "App key", "runner key", "JIT configuration"),
    *(f"{kind} token" for kind in ("registration", "remove", "installation")),
}


@dataclass(frozen=True)
class Way:
    """How a container gets its secret; {} in the settings or in the file is its place."""

    settings: Mapping[str, str]
    file: str = ""
    mode: int = 0o644
    options: tuple[str, ...] = ()
    users: set[int] = field(default_factory=lambda: {RUNNER, ROOT})  # user ids that a job can have
    withheld: str = "setpcap"  # the capability that jobs lack

    def start(self, cell: Cell, secret: str) -> Cell:
        """Start the container without waiting for it."""
        if self.file:
            cell.write(self.file.format(secret), self.mode)
        settings = {name: text.format(secret) for name, text in self.settings.items()}
        return cell.start(self.options, **settings)


ENVIRONMENT = Way({"GITHUB_PERSONAL_TOKEN": "{}"})
APP = Way(
    {
        "GITHUB_APP_ID": str(APP_ID),
        "GITHUB_APP_PRIVATE_KEY": "{}",
        "RUNNER_REGISTRATION": "jit",
    }
)
GIVEN_TO_ROOT = Way({**UNTIL_JOB, "RUNNER_ALLOW_PTRACE": "1"}, ENV_FILE, options=PTRACE)
WAYS = {
    "environment": ENVIRONMENT,
    "environment, App, JIT": APP,
    "env file": Way({"RUNNER_ENVFILE": FILE}, ENV_FILE),
    "file": Way(TOKEN_FILE, "{}\n"),
    "file, SYS_PTRACE": Way(TOKEN_FILE, "{}\n", options=PTRACE, withheld="sys_ptrace"),
    "file that stays": Way({**TOKEN_FILE, "RUNNER_SUDO": "0"}, "{}\n", 0o400, users={RUNNER}),
    "until-job": Way(UNTIL_JOB, ENV_FILE),
    "until-job, SYS_PTRACE for jobs": GIVEN_TO_ROOT,
}


def secret_for(way: Way, cell: Cell, github: Simulator) -> str:
    """Make a secret that GitHub accepts and that the cell looks for."""
    if way is APP:
        secret, needles = of_app(github)
    else:
        secret = f"ghp_{secrets.token_hex(18)}"
        github.add_credential(secret)
        needles = {"PAT": secret}
    cell.needles |= needles
    return secret


def lived(way: Way, cell: Cell) -> dict[str, set[Finding]]:
    """Run a life that is stopped during a job; return what is found in each phase of it."""
    idle = [cell.idle().look(user="runner")]
    if ROOT in way.users and way is not GIVEN_TO_ROOT:
        idle.append(cell.look_without(way.withheld))
    job = cell.job()
    with cell.stopping() as asked:
        if "RUNNER_CREDENTIAL" in way.settings:
            assert not cell.runs(LEFTOVER)
            removal = [cell.look(user="runner"), cell.look_without(way.withheld)]
        else:
            removal = cell.leftovers(asked)
    assert cell.container.wait() == 143, cell.container.logs()
    assert cell.files() == ([Path(FILE).name] if way.mode == 0o400 else [])
    return {
        "idle": unexpected(idle),
        "in the job": unexpected(job),
        "during the removal": unexpected(removal),
        "afterwards": cell.found_outside(),
    }


def test_nothing_is_found(start: StartRunner, github: Simulator, tmp_path: Path) -> None:
    """No secret is found, by whichever way it came in: when idle, in a job, during the removal."""
    cells = {}
    for number, (name, way) in enumerate(WAYS.items()):  # start side by side
        cell = cells[name] = Cell(github, start, tmp_path / f"way-{number}", way.users)
        way.start(cell, secret_for(way, cell, github))
    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        lives = dict(zip(WAYS, pool.map(lived, WAYS.values(), cells.values()), strict=True))
    found = {
        (name, moment, *finding)
        for name, moments in lives.items()
        for moment, findings in moments.items()
        for finding in findings
    }
    # With until-job a running job finds the remove-token, which can do nothing but remove runners.
    known = {f for f in found if f[0].startswith("until-job") and f[2].startswith(REMOVE_TOKEN)}
    assert found - known == set()
    # Root with CAP_SYS_PTRACE does find it, which proves that the probe looks into PID 1.
    assert ("until-job, SYS_PTRACE for jobs", "fd of PID 1") in {(f[0], f[3]) for f in known}
    needles = {needle.rstrip(" 0123456789") for cell in cells.values() for needle in cell.needles}
    assert needles == KINDS


def test_removal_of_an_idle_runner(start: StartRunner, github: Simulator, tmp_path: Path) -> None:
    """If no job has come, the remove-token is in config.sh's environment and nowhere else."""
    cell = Cell(github, start, tmp_path / "idle", ENVIRONMENT.users)
    ENVIRONMENT.start(cell, secret_for(ENVIRONMENT, cell, github)).idle()
    with cell.stopping():
        root, runner = cell.look_without("setpcap"), cell.look(user="runner")
    assert cell.container.wait() == 143
    assert unexpected([root]) == set()
    places = {place.rpartition(" ")[2] for name, place in unexpected([runner])}
    assert {name for name, place in unexpected([runner])} <= {"remove token 0"}
    assert places <= {"config.sh", "Runner.Listener"}


def test_probe_is_not_blind(start: StartRunner, github: Simulator, tmp_path: Path) -> None:
    """The probe finds a secret in the environment of a process with no more power than a job."""
    cell = Cell(github, start, tmp_path / "blind", ENVIRONMENT.users)
    ENVIRONMENT.start(cell, secret_for(ENVIRONMENT, cell, github)).idle()
    cell.run("sleep", "2000", user="runner")
    cell.run("setpriv", "--bounding-set=-setpcap", "tail", "--follow", "/dev/null")
    until(lambda: cell.runs("sleep 2000") and cell.runs("tail"))
    assert ("PAT", "environ of sleep") in cell.look(user="runner").found
    assert ("PAT", "environ of tail") in cell.look_without("setpcap").found


def test_probe_reads_pid_1(start: StartRunner, github: Simulator, tmp_path: Path) -> None:
    """A probe that has CAP_SYS_PTRACE finds the secret in PID 1."""
    cell = Cell(github, start, tmp_path / "open", GIVEN_TO_ROOT.users)
    GIVEN_TO_ROOT.start(cell, secret_for(GIVEN_TO_ROOT, cell, github)).idle()
    assert ("PAT", "fd of PID 1") in cell.look_without("setpcap").found
