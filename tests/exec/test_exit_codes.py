"""What the command's end becomes."""

import pytest

from tests.exec.conftest import Start


@pytest.mark.parametrize("code", [0, 1, 7, 125, 127, 255])
def test_exit_code_is_the_command_s(start: Start, code: int) -> None:
    """The container ends with the code that the command has ended with."""
    assert start("--", "sh", "-c", f"exit {code}").wait() == code


@pytest.mark.parametrize("signum", [1, 2, 9, 11, 13, 15, 35])
def test_death_by_a_signal_is_128_and_its_number(start: Start, signum: int) -> None:
    """Death by a signal looks as it does in a shell, never like success."""
    assert start("--", "sh", "-c", f"kill -{signum} $$").wait() == 128 + signum


def test_a_command_that_dies_at_once_is_not_missed(start: Start) -> None:
    """However soon the command ends, its code is known."""
    assert [start("false").wait() for _ in range(10)] == [1] * 10
