"""The sentence that `kubectl describe pod` shows."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from entrypoint import redaction
from entrypoint.container.termination_message import LIMIT, leave

SECRET = "correct horse battery staple"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The file that the kubelet has made."""
    path = tmp_path / "termination-log"
    path.touch()
    path.chmod(0o666)
    return path


def test_one_line(file: Path) -> None:
    """The file has one line, cause and hint, and nothing of a job's text."""
    file.write_text("a job was here\n" * 100)
    leave("config.sh said:\n  no\n", "try again", path=str(file))
    assert file.read_text() == "config.sh said: no; try again"


def test_nothing_to_add(file: Path) -> None:
    """Without a hint the line has the message only."""
    leave("that is all", "", path=str(file))
    assert file.read_text() == "that is all"


def test_no_secret(file: Path) -> None:
    """The line has no known secret, and nothing that looks like a token of GitHub's."""
    redaction.hide(SECRET)
    leave(f"refused: {SECRET} and ghp_0123456789abcdef", path=str(file))
    assert file.read_text() == "refused: *** and ***"


@pytest.mark.parametrize("letter", ["a", "é", "€", "\N{PILE OF POO}", "\udc80"])
def test_bounded(file: Path, letter: str) -> None:
    """A long message is cut between two letters, and ends with a sign for it."""
    leave(letter * LIMIT * 2, path=str(file))
    content = file.read_bytes()
    assert LIMIT - 8 < len(content) <= LIMIT
    assert content.decode().endswith(" …")


def test_nothing_is_made(tmp_path: Path) -> None:
    """Outside of Kubernetes there is no such file, and none is made."""
    leave("the end", path=str(tmp_path / "termination-log"))
    assert list(tmp_path.iterdir()) == []


def test_no_link_is_followed(tmp_path: Path) -> None:
    """Root writes nothing through a link that a job has put there."""
    precious = tmp_path / "precious"
    precious.write_text("precious")
    soft, hard = tmp_path / "soft", tmp_path / "hard"
    soft.symlink_to(precious)
    hard.hardlink_to(precious)
    leave("the end", path=str(soft))
    leave("the end", path=str(hard))
    assert precious.read_text() == "precious"


def test_no_reader_is_waited_for(tmp_path: Path) -> None:
    """A FIFO, a directory or a device in the file's place does not hold up the end."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    leave("the end", path=str(fifo))
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    leave("the end", path=str(fifo))
    assert os.read(reader, 100) == b""
    os.close(reader)
    leave("the end", path=str(tmp_path))
    leave("the end", path="/dev/full")


def test_full_disk(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a full disk the program ends as it would have without the file."""

    def refuse(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", refuse)
    leave("the end", path=str(file))
    assert file.read_text() == ""
