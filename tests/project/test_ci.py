"""`.ci/run` runs each check of continuous integration and adds up the results."""

import shutil
import subprocess
from pathlib import Path

import pytest

RUN = Path(__file__).parents[2] / ".ci" / "run"


def ci(directory: Path, *folders: str, **recipes: str) -> subprocess.CompletedProcess[str]:
    """Run a copy of .ci/run on a Makefile with these recipes and test folders."""
    (directory / ".ci").mkdir()
    shutil.copy(RUN, directory / ".ci")
    for folder in folders:
        (directory / "tests" / folder).mkdir(parents=True)
    rules = (f"{name.replace('_', '-')}:\n\t{recipe}\n" for name, recipe in recipes.items())
    (directory / "Makefile").write_text("".join(rules))
    return subprocess.run([directory / ".ci" / "run"], capture_output=True, text=True, check=False)


def closes(line: str, code: int = 0) -> str:
    """Return a recipe that prints a line as pytest closes its output."""
    return f'@echo "=== {line} ==="; exit {code}'


def test_sums_all_checks(tmp_path: Path) -> None:
    """The last line adds up the tests that passed; a check without a folder is left out."""
    result = ci(
        tmp_path,
        "image",
        check=closes("1700 passed, 2 warnings in 170.20s (0:02:50)"),
        test_image=closes("72 passed, 1 deselected in 243.00s (0:04:03)"),
        test_deploy=closes("1 failed in 1.00s", 1),
    )
    assert result.returncode == 0
    assert result.stdout.splitlines()[-1] == "1772 passed, 0 failed"


def test_goes_on_after_a_failure(tmp_path: Path) -> None:
    """After a failure the other checks still run; errors count as failures; the exit code is 1."""
    result = ci(
        tmp_path,
        "image",
        "deploy",
        check=closes("2 failed, 10 passed, 1 error in 3.00s", 1),
        test_image=closes("1 passed, 4 skipped in 0.10s"),
        test_deploy=closes("5 passed in 0.10s"),
    )
    assert result.returncode == 1
    assert result.stdout.splitlines()[-1] == "16 passed, 3 failed, 4 skipped"


@pytest.mark.parametrize("recipe", ["@exit 1", closes("7 passed in 2.00s", 1)], ids=["", "tests"])
def test_counts_a_check_that_fails_without_a_test(tmp_path: Path, recipe: str) -> None:
    """A check that fails although no test did, such as a linter, counts as one failure."""
    result = ci(tmp_path, "image", check=recipe, test_image=closes("1 passed in 0.10s"))
    assert result.returncode == 1
    assert result.stdout.splitlines()[-1].endswith(" passed, 1 failed")


def test_takes_the_last_closing_line(tmp_path: Path) -> None:
    """If a test runs pytest itself, only the line of the outer pytest counts."""
    inner = "echo === 9 failed in 0.01s ===; "
    result = ci(tmp_path, check="@" + inner + closes("3 passed in 1.00s").removeprefix("@"))
    assert result.stdout.splitlines()[-1] == "3 passed, 0 failed"
