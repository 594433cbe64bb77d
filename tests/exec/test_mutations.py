"""Each mutation breaks the init, and makes a test of this directory fail."""

import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support.mutants import PROJECT, Change, body, copy, replace, sampled

TESTS = Path(__file__).parent


class Mutation(NamedTuple):
    """What is broken, and the test that has to notice."""

    change: Change
    test: str


MUTATIONS = {
    "the mask is not reset": Mutation(
        replace("init.signals", "signal.pthread_sigmask(signal.SIG_SETMASK, ())", "pass"),
        "test_signal_state.py::test_no_signal_is_blocked_or_ignored",
    ),
    "SIGPIPE stays ignored": Mutation(
        replace("default_signals", "CHANGEABLE", "CHANGEABLE - _IGNORED_BY_PYTHON"),
        "test_signal_state.py::test_no_signal_is_blocked_or_ignored",
    ),
    "the wait status is stolen": Mutation(
        replace("Init.reap", "exit_code(...)", "0"),
        "test_exit_codes.py::test_exit_code_is_the_command_s",
    ),
    "an orphan's status is taken for the command's": Mutation(
        replace(
            "Init.reap",
            "if pid in self._children: ...",
            "if self._children: self._children.popitem()[1].outcome = exit_code(status)",
        ),
        "test_reaps_orphans.py::test_an_orphan_s_end_is_not_the_command_s",
    ),
    "orphans are not reaped": Mutation(
        replace(
            "Init.reap",
            "os.wait4(-1, ...)",
            "os.wait4(next(iter(self._children), -1), os.WNOHANG)",
        ),
        "test_reaps_orphans.py::test_zombies_are_not_kept",
    ),
    "the group is not signalled": Mutation(
        replace("Init.signal_group", "-child.pid", "child.pid"),
        "test_process_group.py::test_signals_go_to_the_process_group",
    ),
    "the status is taken as the truth": Mutation(
        replace("init.pid1", "os.waitstatus_to_exitcode(status)", "os.WEXITSTATUS(status)"),
        "test_exit_codes.py::test_death_by_a_signal_is_128_and_its_number",
    ),
    "only the first generation is swept": Mutation(
        replace("Init", "[-1] if self.is_pid_1 else descendants()", "list(self._children)"),
        "test_sweeps.py::test_what_is_left_may_clean_up",
    ),
    "our own signals are passed on": Mutation(
        body("init.pid1._is_own", "return False"),
        "test_terminal.py::test_the_hand_off_is_not_passed_on",
    ),
    "signals are not blocked": Mutation(
        replace("block_signals", "ALL_SIGNALS", "()"),
        "test_early_signals.py::test_no_stop_is_lost",
    ),
}


def run_tests(source: Path, patience: int, *tests: str) -> subprocess.CompletedProcess[str]:
    """Run tests of this directory on another copy of the package; `patience` is in seconds."""
    pytest_command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider"]
    return subprocess.run(
        # The timer is for the test alone: in one of pytest's own functions it would end all.
        [
            *pytest_command,
            f"--timeout={2 * patience}",
            "-o",
            "timeout_func_only=true",
            *(str(TESTS / test) for test in tests),
        ],
        cwd=PROJECT,
        env=os.environ | {"EXEC_MUTANT": str(source), "EXEC_TIMEOUT": str(patience)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("name", sampled(MUTATIONS))
def test_a_broken_init_is_noticed(tmp_path: Path, name: str) -> None:
    """The test of a behaviour fails once the behaviour is broken."""
    mutation = MUTATIONS[name]
    ran = run_tests(copy(tmp_path, mutation.change), 1, mutation.test)
    assert ran.returncode == pytest.ExitCode.TESTS_FAILED, ran.stdout + ran.stderr


@pytest.mark.exhaustive
@pytest.mark.timeout(300)
def test_an_unbroken_copy_passes(tmp_path: Path) -> None:
    """The tests notice the mutation and not the copy."""
    tests = sorted({mutation.test for mutation in MUTATIONS.values()})
    ran = run_tests(copy(tmp_path), 20, *tests)
    assert ran.returncode == pytest.ExitCode.OK, ran.stdout + ran.stderr
