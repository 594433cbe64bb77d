"""The tests of this directory notice a broken init: each mutation makes one of them fail."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parent.parent.parent
HERE = Path(__file__).parent.relative_to(ROOT)
MASK = "signal.pthread_sigmask(signal.SIG_SETMASK, ())"


class Mutation(NamedTuple):
    """What is broken, and the test that must tell."""

    module: str
    text: str
    replacement: str
    test: str


MUTATIONS = {
    "the mask is not reset": Mutation(
        "init/signals.py",
        MASK,
        "pass",
        "test_signal_state.py::test_no_signal_is_blocked_or_ignored",
    ),
    "SIGPIPE stays ignored": Mutation(
        "init/signals.py",
        "_set_default(CHANGEABLE)\n",
        "_set_default(CHANGEABLE - _IGNORED_BY_PYTHON)\n",
        "test_signal_state.py::test_no_signal_is_blocked_or_ignored",
    ),
    "the wait status is stolen": Mutation(
        "init/pid1.py",
        ".outcome = exit_code(status)",
        ".outcome = 0",
        "test_exit_codes.py::test_exit_code_is_the_command_s",
    ),
    "an orphan's status is taken for the command's": Mutation(
        "init/pid1.py",
        "if pid in self._children:\n                self._children.pop(pid).outcome",
        "if self._children:\n                self._children.popitem()[1].outcome",
        "test_reaps_orphans.py::test_an_orphan_s_end_is_not_the_command_s",
    ),
    "orphans are not reaped": Mutation(
        "init/pid1.py",
        "os.waitpid(-1, os.WNOHANG)",
        "os.waitpid(next(iter(self._children), -1), os.WNOHANG)",
        "test_reaps_orphans.py::test_zombies_are_not_kept",
    ),
    "the group is not signalled": Mutation(
        "init/pid1.py",
        "kill(-child.pid, signum)",
        "kill(child.pid, signum)",
        "test_process_group.py::test_signals_go_to_the_process_group",
    ),
    "the status is taken as the truth": Mutation(
        "init/pid1.py",
        "code = os.waitstatus_to_exitcode(status)",
        "code = os.WEXITSTATUS(status)",
        "test_exit_codes.py::test_death_by_a_signal_is_128_and_its_number",
    ),
    "only the first generation is swept": Mutation(
        "init/pid1.py",
        "[-1] if self.is_pid_1 else descendants()",
        "list(self._children)",
        "test_sweeps.py::test_what_is_left_may_clean_up",
    ),
    "our own signals are passed on": Mutation(
        "init/pid1.py",
        "and not _is_own(info)",
        "",
        "test_terminal.py::test_the_hand_off_is_not_passed_on",
    ),
    "signals are not blocked": Mutation(
        "init/signals.py",
        "signal.pthread_sigmask(signal.SIG_SETMASK, ALL_SIGNALS)",
        "signal.pthread_sigmask(signal.SIG_SETMASK, ())",
        "test_early_signals.py::test_no_stop_is_lost",
    ),
}


def run_tests(package: Path, patience: int, *tests: str) -> subprocess.CompletedProcess[str]:
    """Run tests of this directory on another copy of the package; `patience` is in seconds."""
    pytest_command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider"]
    return subprocess.run(
        [*pytest_command, f"--timeout={2 * patience}", *(str(HERE / test) for test in tests)],
        cwd=ROOT,
        env=os.environ | {"EXEC_MUTANT": str(package.parent), "EXEC_TIMEOUT": str(patience)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A copy of the package."""
    copy = tmp_path / "entrypoint"
    shutil.copytree(ROOT / "entrypoint", copy, ignore=shutil.ignore_patterns("__pycache__"))
    return copy


@pytest.mark.parametrize("mutation", MUTATIONS.values(), ids=MUTATIONS)
def test_a_broken_init_is_noticed(package: Path, mutation: Mutation) -> None:
    """The test that is there for a behaviour fails once the behaviour is broken."""
    module = package / mutation.module
    source = module.read_text()
    assert source.count(mutation.text) == 1
    module.write_text(source.replace(mutation.text, mutation.replacement))
    ran = run_tests(package, 1, mutation.test)
    assert ran.returncode == pytest.ExitCode.TESTS_FAILED, ran.stdout + ran.stderr


@pytest.mark.timeout(300)
def test_an_unbroken_copy_passes(package: Path) -> None:
    """It is the mutation that is noticed, not the copy."""
    ran = run_tests(package, 20, *sorted({mutation.test for mutation in MUTATIONS.values()}))
    assert ran.returncode == pytest.ExitCode.OK, ran.stdout + ran.stderr
