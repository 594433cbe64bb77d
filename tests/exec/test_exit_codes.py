"""The exit code after the end of the command."""

import pytest

from tests.exec.conftest import Start


@pytest.mark.parametrize("code", [0, 1, 7, 125, 127, 255])
def test_exit_code_is_the_command_s(start: Start, code: int) -> None:
    """The container ends with the exit code of the command."""
    assert start("--", "sh", "-c", f"exit {code}").wait() == code


@pytest.mark.parametrize("signum", [1, 2, 9, 11, 13, 15, 35])
def test_death_by_a_signal_is_128_and_its_number(start: Start, signum: int) -> None:
    """Death by a signal gives the code that a shell gives, never that of success."""
    assert start("--", "sh", "-c", f"kill -{signum} $$").wait() == 128 + signum


def test_a_command_that_dies_at_once_is_not_missed(start: Start) -> None:
    """The code is known however soon the command ends."""
    assert [start("false").wait() for _ in range(10)] == [1] * 10
