"""stdin, stdout, stderr and all other open files reach the command unchanged."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.exec.conftest import Start
from tests.exec.harness import victim


@pytest.mark.parametrize("closed", [[], [0], [1], [2], [0, 1], [0, 2], [1, 2], [0, 1, 2]], ids=str)
def test_what_is_closed_stays_closed(start: Start, tmp_path: Path, closed: list[int]) -> None:
    """The command has exactly the streams of the init, and none that the init opened."""
    path = tmp_path / "descriptors"
    closing = " ".join(f"{descriptor}>&-" for descriptor in closed)
    wrapper = ("sh", "-c", f'exec "$@" {closing}', "sh")
    started = start("--", *victim("descriptors", path), wrapper=wrapper)
    assert started.wait() == 0, started.stderr()
    assert path.read_text() == f"{[d for d in (0, 1, 2) if d not in closed]}\n"


@pytest.mark.parametrize("option", [["-v"], []], ids=str)
def test_errors_without_streams(start: Start, option: list[str]) -> None:
    """If nothing can be written, the exit code is right all the same."""
    wrapper = ("sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh")
    assert start(*option, "--", "no-such-command", wrapper=wrapper).wait() == 127
    assert start(*option, "-r", "nonsense", "true", wrapper=wrapper).wait() == 125


def test_stderr_that_nobody_reads(start: Start, tmp_path: Path) -> None:
    """A broken pipe on stderr kills no process and does not become a signal."""
    script = tmp_path / "script"
    script.write_text("exit 4\n")
    script.chmod(0o755)
    for arguments, code in ((["-v", "true"], 0), (["no-such-command"], 127), ([str(script)], 4)):
        reading, writing = os.pipe()
        os.close(reading)
        assert start(*arguments, stderr=writing).wait() == code
        os.close(writing)


def test_input_and_output_pass_through(start: Start) -> None:
    """Bytes arrive as they are, and so does the end of the input."""
    started = start("--", "cat", stdin=subprocess.PIPE)
    output, _ = started.process.communicate(bytes(range(256)) * 100)
    assert output == bytes(range(256)) * 100
    assert started.wait() == 0


def test_other_descriptors_are_inherited(start: Start, tmp_path: Path) -> None:
    """A descriptor above 2, as socket activation passes one on, arrives."""
    path = tmp_path / "descriptors"
    reading, writing = os.pipe()
    started = start("--", *victim("descriptors", path), pass_fds=[writing])
    assert started.wait() == 0
    assert path.read_text() == f"{[0, 1, 2, writing]}\n"
    os.close(reading)
    os.close(writing)
