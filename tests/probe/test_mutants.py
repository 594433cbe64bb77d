"""A probe finds a secret once its protection is taken out of the program.

So a probe that finds nothing has not merely looked in the wrong places.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import pytest

from tests.probe.cage import AS_RUNNER, DOCKER, Cage, powers
from tests.probe.test_job import arriving
from tests.support import unprivileged
from tests.support.life import NAMESPACE, Life, until
from tests.support.mutants import Change, body, mutated, replace

UNTIL_JOB = {"RUNNER_CREDENTIAL": "until-job", "RUNNER_ALLOW_PTRACE": "1"}
JIT = {"RUNNER_REGISTRATION": "jit"}

_NO_EXEC = replace("leave_environment", "os.execve(...)", "return vault")
# Makes the JIT configuration again from its files.
_CODE = (
    "(code := __import__('base64').b64encode)(__import__('json').dumps({name:"
    " code(open(os.path.join(plan.home, name), 'rb').read()).decode() for name in"
    " ('.runner', '.credentials', '.credentials_rsaparams')}).encode()).decode()"
)


class Mutant(NamedTuple):
    """Changes of the program, and what a probe then finds: as which user, and where."""

    changes: tuple[Change, ...]
    uid: int
    place: str
    env: dict[str, str]
    capabilities: tuple[str, ...] = ()
    name: str = "PAT"


MUTANTS = {
    "environment is kept": Mutant((_NO_EXEC,), 0, "environ of PID 1", UNTIL_JOB, ("sys_ptrace",)),
    "listener has the whole environment": Mutant(
        (_NO_EXEC, replace("base_environment", "k not in ours()", "True")),
        65534,
        "environ of Runner.Listener",
        {},
    ),
    "vault is kept": Mutant(
        (body("Vault.forget", "pass"),), 0, "fd of PID 1", UNTIL_JOB, ("sys_ptrace",)
    ),
    "env file is kept": Mutant(
        (body("exposure._delete", "pass"),),
        65534,
        "secret",
        {"RUNNER_ENVFILE": "secret", "GITHUB_PERSONAL_TOKEN": ""},
    ),
    "root's file is kept": Mutant(
        (body("way_to_root", "return ''"),),
        0,
        "secret",
        {"GITHUB_PERSONAL_TOKEN_FILE": "secret", "GITHUB_PERSONAL_TOKEN": ""},
    ),
    "JIT configuration as an argument": Mutant(
        (replace("Listener.__init__", "[...]", f"[*OLD, '--jitconfig', {_CODE}]"),),
        65534,
        "cmdline of Runner.Listener",
        JIT,
        name="JIT configuration",
    ),
    "JIT configuration as a variable": Mutant(
        (
            replace(
                "Listener.__init__",
                "plan.runner_environment",
                f"dict(OLD, ACTIONS_RUNNER_INPUT_JITCONFIG={_CODE})",
            ),
        ),
        65534,
        "environ of Runner.Listener",
        JIT,
        name="JIT configuration",
    ),
}
SAME_POWER = body("_bounding_set", "return []")
DUMPABLE = body("pid1.forbid_dumps", "pass")
NOT_ENDED = body("RegisteringChild.end_meanwhile", "pass")
BESIDE_A_JOB = body("remove_child._busy", "return _BUSY in child.output()")


@pytest.mark.parametrize("mutant", MUTANTS.values(), ids=MUTANTS)
def test_probe_finds_what_is_unprotected(new_life: Callable[..., Life], mutant: Mutant) -> None:
    """Each mutant shows its secret at the very place that the protection is about."""
    cage = Cage(new_life())
    cage.life.program = mutated(cage.life.directory, *mutant.changes)
    path = cage.life.directory / "secret"
    is_env_file = "RUNNER_ENVFILE" in mutant.env
    path.write_text(f"GITHUB_PERSONAL_TOKEN={cage.token}\n" if is_env_file else cage.token)
    path.chmod(0o644 if is_env_file else 0o600)
    if "secret" not in mutant.env.values():
        path.unlink()
    env = {name: str(path) if text == "secret" else text for name, text in mutant.env.items()}
    cage.start(*mutant.capabilities, **env).idle()
    [look] = [look for look in cage.probed() if look.uid == mutant.uid]
    assert (mutant.name, mutant.place if mutant.place != "secret" else str(path)) in look.found


def test_probe_finds_a_health_check_of_the_same_power(new_life: Callable[..., Life]) -> None:
    """Without the capability that jobs lack, root reads what the engine starts."""
    cage = Cage(new_life())
    cage.life.program = mutated(cage.life.directory, SAME_POWER)
    cage.start().idle()
    with cage.inside(*powers(*DOCKER), "sleep", "60", GITHUB_PERSONAL_TOKEN=cage.token):
        until(lambda: "sleep" in cage.life.inside().values())
        _runner, root = cage.probed()
    assert ("PAT", "environ of sleep") in root.found


@pytest.mark.parametrize("is_mutant", [False, True])
def test_probe_reads_a_dumpable_pid_1(new_life: Callable[..., Life], is_mutant: bool) -> None:
    """If PID 1 is the runner's own user, only its not being dumpable keeps a job out."""
    cage = Cage(new_life())
    if is_mutant:
        cage.life.program = mutated(cage.life.directory, DUMPABLE)
    cage.walls = [*NAMESPACE, *unprivileged.prefix()]
    cage.start().idle()
    look = cage.look(AS_RUNNER)
    assert ("PAT" in look.names) is is_mutant


@pytest.mark.parametrize("is_mutant", [False, True])
def test_probe_finds_who_asks_beside_all_else(
    new_life: Callable[..., Life], is_mutant: bool
) -> None:
    """A process that still talks to GitHub when a job begins would reveal the credential."""
    cage = Cage(new_life())
    if is_mutant:
        cage.life.program = mutated(cage.life.directory, NOT_ENDED)
    cage.simulator.fault(path="/deprecations/", hang=True)
    cage.start("sys_ptrace", RUNNER_VERSION="2.336.0", **UNTIL_JOB).idle()
    _runner, root = cage.probed()
    assert ("PAT" in root.names) is is_mutant


def test_probe_finds_config_sh_beside_a_job(new_life: Callable[..., Life]) -> None:
    """If config.sh remove went on beside a job, the job would read its token."""
    cage = Cage(new_life())
    cage.life.program = mutated(cage.life.directory, BESIDE_A_JOB)
    runner, _root = arriving(cage, code=143)
    assert ("remove token 0", "environ of config.sh") in runner.found
