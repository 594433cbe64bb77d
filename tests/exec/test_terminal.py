"""On a terminal the command has control, as in `docker run -it`."""

import os
import shlex
import signal
import subprocess
import termios
from collections.abc import Iterator
from typing import Any

import pytest

from simulator.container import NAMESPACE
from tests.exec.conftest import Start
from tests.exec.harness import PROGRAM, Exec, victim

SHELL = ["bash", "--norc", "--noediting", "-i"]
PROMPT = "next: "
LEADER = ("setsid", "--ctty")  # as with a container engine, PID 1 leads the session of the terminal


class Terminal:
    """A pseudo-terminal as keyboard and screen see it."""

    def __init__(self) -> None:
        """Open one that neither echoes nor changes what is written."""
        self.master, self.slave = os.openpty()
        attributes = termios.tcgetattr(self.slave)
        attributes[1] &= ~termios.OPOST
        attributes[3] &= ~termios.ECHO
        termios.tcsetattr(self.slave, termios.TCSANOW, attributes)
        self.screen = ""

    @property
    def streams(self) -> dict[str, Any]:
        """The three standard streams, for Popen."""
        return {"stdin": self.slave, "stdout": self.slave, "stderr": self.slave}

    def type(self, text: str) -> None:
        """Type something."""
        os.write(self.master, text.encode())

    def until(self, text: str) -> str:
        """Wait for a text on the screen, return what is before it, and go on behind it."""
        while text not in self.screen:
            self.screen += os.read(self.master, 4096).decode()
        before, _, self.screen = self.screen.partition(text)
        return before

    def close(self) -> None:
        """Hang up."""
        for descriptor in {self.master, self.slave} - {-1}:
            os.close(descriptor)
        self.master = self.slave = -1


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    """A terminal that no session controls yet."""
    made = Terminal()
    yield made
    made.close()


def on(terminal: Terminal, start: Start, *arguments: str) -> Exec:
    """Start `exec` on a terminal as the leader of its session."""
    return start(*arguments, wrapper=LEADER, **terminal.streams)


@pytest.mark.parametrize("options", [[], ["-c"]], ids=["session", "single-child"])
def test_reading_and_writing(start: Start, terminal: Terminal, options: list[str]) -> None:
    """The command reads what is typed, and the screen shows what it writes."""
    started = on(terminal, start, *options, "--", "tac")
    terminal.type("1\n2\n3\n\x04")
    terminal.until("3\n2\n1\n")
    assert started.wait() == 0


def test_job_control(start: Start, terminal: Terminal) -> None:
    """A job of an interactive shell can be suspended and continued."""
    started = on(terminal, start, "--", *SHELL)
    terminal.type(f"PS1='{PROMPT}'; echo flags=$-.\n")
    assert "no job control" not in terminal.until("flags=")
    assert "m" in terminal.until(".")
    suspend_and_go_on(terminal, "cat")
    terminal.type("exit 6\n")
    assert started.wait() == 6


def suspend_and_go_on(terminal: Terminal, command: str) -> None:
    """Have a shell run a command that repeats its input; suspend, continue, interrupt it."""
    terminal.until(PROMPT)
    terminal.type(f"{command}\nword\n")
    terminal.until("word")
    terminal.type("\x1a")  # Ctrl-Z
    terminal.until("Stopped")
    terminal.until(PROMPT)
    terminal.type("fg\nagain\n")
    terminal.until("again")
    terminal.type("\x03")  # Ctrl-C; what is typed before the prompt comes would be lost
    terminal.until(PROMPT)


def test_the_keyboard_s_signals_reach_the_command(start: Start, terminal: Terminal) -> None:
    """Ctrl-C interrupts the command."""
    started = on(terminal, start, "--", "sh", "-c", "echo ready; exec sleep 60")
    terminal.until("ready")
    terminal.type("\x03")
    assert started.wait() == 128 + signal.SIGINT


def test_hanging_up_ends_the_command(start: Start, terminal: Terminal) -> None:
    """When the terminal goes away, the command gets SIGHUP."""
    started = on(terminal, start, "--", "sh", "-c", "echo ready; exec sleep 60")
    terminal.until("ready")
    terminal.close()
    assert started.wait() == 128 + signal.SIGHUP


def test_the_hand_off_is_not_passed_on(start: Start, terminal: Terminal) -> None:
    """SIGHUP and SIGCONT for giving up the terminal are not passed on; later ones are."""
    started = on(terminal, start, "--", *victim("print_signals", 3))
    terminal.until("ready")
    terminal.until("\n")
    for signum in (signal.SIGRTMIN, signal.SIGHUP, signal.SIGCONT):
        started.signal(signum)
        assert terminal.until("\n") == str(int(signum))
    assert started.wait() == 0


def test_a_shell_s_job(terminal: Terminal) -> None:
    """In an interactive shell the init and its command are one job."""
    shell = subprocess.Popen(
        [*NAMESPACE, *LEADER, *SHELL], start_new_session=True, **terminal.streams
    )
    try:
        terminal.type(f"PS1='{PROMPT}'\n")
        suspend_and_go_on(terminal, shlex.join([*PROGRAM, "exec", "cat"]))
        terminal.type("echo code=$?.\n")
        terminal.until("code=")
        assert terminal.until(".") == str(128 + signal.SIGINT)
    finally:
        shell.kill()
        shell.wait()
