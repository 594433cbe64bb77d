"""The log: one event a line, as JSON or for people, without secrets."""

from __future__ import annotations

import contextlib
import json
import os
import pty
from datetime import UTC, datetime
from typing import Any

import pytest

from entrypoint import log, redaction
from simulator import Simulator
from tests.support.life import NAMESPACE, TOKEN, Life

DOCKER_STOP = 10  # seconds


def lines(capture: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """Return what was logged as JSON since the last call."""
    return [json.loads(line) for line in capture.readouterr().out.splitlines()]


def test_json_is_one_object_a_line(capfd: pytest.CaptureFixture[str]) -> None:
    """A line is a JSON object with a time in UTC, a level, an event and any fields."""
    log.configure("info", "json")
    log.info("it.happened", "said\nin two lines", number=7, seconds=0.5, path=os, nothing=None)
    [record] = lines(capfd)
    assert list(record)[:3] == ["timestamp", "severity_text", "severity_number"]
    assert (record["severity_text"], record["severity_number"]) == ("INFO", 9)
    assert (record["event_name"], record["body"]) == ("it.happened", "said\nin two lines")
    assert (record["number"], record["seconds"]) == (7, 0.5)
    assert "nothing" not in record
    age = datetime.now(UTC) - datetime.fromisoformat(record["timestamp"])
    assert 0 <= age.total_seconds() < 5


@pytest.mark.parametrize(("least", "told"), [("debug", 4), ("info", 3), ("warning", 2), ("x", 3)])
def test_levels(capfd: pytest.CaptureFixture[str], least: str, told: int) -> None:
    """Lines below the level are not written; an unknown level means the default."""
    log.configure(least, "json")
    for say in (log.debug, log.info, log.warning, log.error):
        say("it.happened", "event")
    assert [line["severity_text"].lower() for line in lines(capfd)] == list(log.LEVELS[-told:])


@pytest.mark.parametrize(
    "secret",
    [
        "ghp_0123456789abcdef",
        "github_pat_0123456789_abcdef",
        "ghs_0123456789abcdef",
        "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiIxIn0.c2lnbmF0dXJl",
        "A" + "B2" * 14,
    ],
)
def test_tokens_are_known_by_their_form(capfd: pytest.CaptureFixture[str], secret: str) -> None:
    """A token of GitHub's form is never written, even if it is not a known secret."""
    log.configure("info", "json")
    log.info("it.happened", f"it is {secret}, is it not?", value=secret)
    [record] = lines(capfd)
    assert record["body"] == "it is ***, is it not?"
    assert record["value"] == "***"


def test_secrets_that_were_named(capfd: pytest.CaptureFixture[str]) -> None:
    """A known secret is never written, nor a line of a known key."""
    log.configure("info", "json")
    redaction.hide("plain-word", "-----BEGIN KEY-----\nMIIEabcdefgh\n-----END KEY-----")
    log.info("it.happened", "with plain-word and MIIEabcdefgh in it")
    assert lines(capfd)[0]["body"] == "with *** and *** in it"


def test_console_on_a_terminal() -> None:
    """On a terminal the log is for people, with colours only if they can be shown."""
    ours, theirs = pty.openpty()
    log.write_to(theirs)
    log.configure("info", "auto")
    log.info("runner.registered", "registered", name="r-1")
    text = os.read(ours, 4096).decode()
    assert "registered" in text
    assert "name" in text
    with pytest.raises(json.JSONDecodeError):
        json.loads(text)


def for_people(*arguments: Any, **fields: Any) -> list[str]:
    """Return the lines of an error, without their time."""
    reader, writer = os.pipe()
    log.write_to(writer)
    log.configure("info", "auto")
    log.error(*arguments, **fields)
    return os.read(reader, 65_536).decode().partition("Z: ")[2].splitlines()


def test_an_error_for_people() -> None:
    """The message, each problem, and the remedy have lines of their own."""
    problems = ["GITHUB_OWNER: is missing", "RUNNER_NAME: is too long"]
    said = for_people(
        "life.failed",
        f"the settings are wrong: {'; '.join(problems)}",
        problems=problems,
        hint="see the README",
        code=78,
        kind="",
    )
    assert said == [
        "error: the settings are wrong:",
        "  - GITHUB_OWNER: is missing",
        "  - RUNNER_NAME: is too long",
        "  → see the README",
    ]


def test_a_terminal_obeys_nothing_foreign() -> None:
    """A control character in a foreign text does not reach a terminal."""
    assert for_people("life.failed", "said \x1b[2J\x07bell") == ["error: said  [2J bell"]


@pytest.mark.parametrize(("wanted", "coloured"), [(True, True), (False, False)])
def test_colours(wanted: bool, coloured: bool) -> None:
    """Only terminals get colours, and NO_COLOR turns them off."""
    ours, theirs = pty.openpty()
    log.write_to(theirs)
    log.configure("info", "auto")
    log.colour(wanted=wanted)
    log.warning("it.happened", "beware")
    assert ("\x1b[33m" in os.read(ours, 4096).decode()) is coloured


def test_nobody_reads() -> None:
    """If the log's reader has gone, the program goes on."""
    reader, writer = os.pipe()
    os.close(reader)
    log.write_to(writer)
    log.info("it.happened", "to nobody")


def test_a_long_line_arrives_whole() -> None:
    """If a pipe takes only a part of a line, the rest is written afterwards."""
    reader, writer = os.pipe()
    log.write_to(writer)
    log.configure("info", "json")
    log.info("it.happened", "x" * 60_000)
    assert json.loads(os.read(reader, 65_536))["body"] == "x" * 60_000


def test_a_reader_that_does_not_read_holds_up_no_stop(life: Life, simulator: Simulator) -> None:
    """A full pipe or a stopped terminal loses lines, and does not hold up the removal."""
    pipe = life.directory / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDWR | os.O_NONBLOCK)
    with contextlib.suppress(BlockingIOError):
        while os.write(reader, bytes(4096)):
            pass
    life.start(namespace=[*NAMESPACE, "sh", "-c", f'exec "$0" "$@" >{pipe} 2>&1'])
    simulator.wait_for("runner_registered")
    assert life.signal().wait(DOCKER_STOP) == 143
    assert simulator.runners() == []
    os.close(reader)


def test_a_life_says_nothing_secret(life: Life, simulator: Simulator) -> None:
    """Even at the level debug the output has neither the credential nor a token."""
    simulator.queue_job()
    assert life.start(RUNNER_LOG_LEVEL="debug").wait() == 0, life.output
    assert TOKEN not in life.output
    assert redaction.redact(life.output) == life.output


@pytest.mark.parametrize("name", ["RUNNER_LOG_LEVEL", "RUNNER_LOG_FORMAT"])
def test_wrong_settings_of_the_log_are_told(life: Life, simulator: Simulator, name: str) -> None:
    """Wrong settings of the log are reported in its default form."""
    life.env |= {name: "loud"}
    assert life.start().wait() == 78, life.output
    assert f"{name}: 'loud' is not one of" in life.output
    assert simulator.requests() == []
