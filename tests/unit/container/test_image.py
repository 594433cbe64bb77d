"""What an image says about the runner in it."""

from pathlib import Path

import pytest

from entrypoint.container import image


def test_version_and_day_are_told(tmp_path: Path) -> None:
    """The file's variables about the runner are read, and other lines are ignored."""
    file = tmp_path / "release"
    file.write_text("RUNNER_VERSION=2.337.0\nRUNNER_RELEASED=2026-09-10\nRUNNER_SHA256=aa\nX=1\n")
    assert image.release(str(file)) == {
        "RUNNER_VERSION": "2.337.0",
        "RUNNER_RELEASED": "2026-09-10",
    }


def test_a_day_that_nobody_knew_is_left_out(tmp_path: Path) -> None:
    """If the build did not know the runner's date, none is given."""
    file = tmp_path / "release"
    file.write_text("RUNNER_VERSION=2.337.0\nRUNNER_RELEASED=\n")
    assert image.release(str(file)) == {"RUNNER_VERSION": "2.337.0"}


@pytest.mark.parametrize("content", [None, b"", b"\xff\xfe", b"<html>\n"])
def test_an_image_of_another_make(tmp_path: Path, content: bytes | None) -> None:
    """A missing or foreign file does not prevent the start."""
    file = tmp_path / "release"
    if content is not None:
        file.write_bytes(content)
    assert image.release(str(file)) == {}
