"""The state of signals that the command starts with."""

import pytest

from tests.exec.conftest import Start

# cat reads its own state: a shell or a Python in between would change some signals.
SHOW = ["cat", "/proc/self/status"]
GLIBC_OWN = {32, 33}  # the C library keeps them for itself (signal(7))


def touched(lines: list[str]) -> dict[str, set[int]]:
    """Return the signals that are blocked, ignored and pending."""
    fields = dict(line.split(":", 1) for line in lines)
    return {
        name: {n for n in range(1, 65) if int(fields[name], 16) >> (n - 1) & 1} - GLIBC_OWN
        for name in ("SigBlk", "SigIgn", "SigPnd", "ShdPnd")
    }


CLEAN: dict[str, set[int]] = {"SigBlk": set(), "SigIgn": set(), "SigPnd": set(), "ShdPnd": set()}


@pytest.mark.parametrize("options", [[], ["-c"]], ids=["group", "single-child"])
def test_no_signal_is_blocked_or_ignored(start: Start, options: list[str]) -> None:
    """No signal is blocked; SIGPIPE and SIGXFSZ have their defaults."""
    assert touched(start(*options, "--", *SHOW).rest()) == CLEAN


def test_an_inherited_ignore_is_not_passed_on(start: Start) -> None:
    """A caller that ignores signals, such as nohup, does not make the command deaf."""
    wrapper = ("sh", "-c", 'trap "" HUP INT QUIT TERM CHLD USR1; exec "$@"', "sh")
    started = start("--", *SHOW, wrapper=wrapper)
    assert touched(started.rest()) == CLEAN
    assert started.wait() == 0
