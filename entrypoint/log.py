"""What the program says, on stdout and without any secret: lines for people, or JSON for machines.

PID 1 renders its lines itself. Importing structlog costs 60 ms and 9 MB (it imports asyncio), which
PID 1 would keep for as long as the runner waits for a job; the child that turns the lines of
GitHub's programs into JSON uses it (log_lines_child.py). The names of the events are listed in
docs/logging.md.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import select
import time
from collections.abc import Iterator, MutableMapping
from typing import Any

from entrypoint.redaction import redact_all

EventDict = MutableMapping[str, Any]
LEVELS = ("debug", "info", "warning", "error")
# As OpenTelemetry numbers them (https://opentelemetry.io/docs/specs/otel/logs/data-model/).
SEVERITIES = {"debug": 5, "info": 9, "warning": 13, "error": 17}

_PATIENCE = 0.5  # seconds that a reader has to make room, before lines are left out
_COLOURS = {"debug": "2", "warning": "33", "error": "31"}
_INDENT = "  "
_REFUSAL = ("kind", "method", "path", "status", "request_id")  # all of it stands in the message
_config: dict[str, Any] = {
    "descriptor": 1,
    "patience": _PATIENCE,
    "level": "info",
    "json": False,
    "lock": None,
}


def configure(level: str = "info", form: str = "auto") -> None:
    """Set the least level, and the form: console, json, or auto, which is console.

    What is not known counts as the default, so that it can be told of in a proper form.
    """
    level = level.lower()
    _config["level"] = level if level in LEVELS else "info"
    _config["json"] = form == "json"


def is_json() -> bool:
    """Return whether lines are JSON objects."""
    return bool(_config["json"])


def write_to(descriptor: int) -> None:
    """Write there instead of to stdout, which is captured in some forked children."""
    _config["descriptor"] = descriptor


def share(descriptor: int) -> None:
    """Let lines of several processes not mix: each locks this file while it writes a line."""
    _config["lock"] = descriptor


def debug(event: str, body: str, **fields: Any) -> None:
    """Say what only a search for a defect needs."""
    _say("debug", event, body, fields)


def info(event: str, body: str, **fields: Any) -> None:
    """Say what an operator wants to read on a good day."""
    _say("info", event, body, fields)


def warning(event: str, body: str, **fields: Any) -> None:
    """Say what was put right, or will go wrong later."""
    _say("warning", event, body, fields)


def error(event: str, body: str, **fields: Any) -> None:
    """Say what ended the program."""
    _say("error", event, body, fields)


def _say(level: str, event: str, body: str, fields: dict[str, Any]) -> None:
    if LEVELS.index(level) < LEVELS.index(_config["level"]):
        return
    kept = {name: value for name, value in fields.items() if value not in ("", None, [], ())}
    record: EventDict = {"event_name": event, "body": body, **kept}
    for processor in (stamp, censor):
        record = processor(None, level, record)
    text = as_json(record) if _config["json"] else _for_people(level, record)
    with contextlib.suppress(OSError):  # a life does not end because nobody reads its log
        write_line(text)


def write_line(text: str) -> None:
    """Write a line to stdout, or what there is room for: nobody waits for a reader that stalls."""
    with _locked():
        _write(_config["descriptor"], f"{text}\n".encode(errors="backslashreplace"))


@contextlib.contextmanager
def _locked() -> Iterator[None]:
    """Hold the lock, if lines are shared; a process that is stuck with it is not waited for."""
    if _config["lock"] is None:
        yield
        return
    deadline = time.monotonic() + _config["patience"]
    while True:
        try:
            fcntl.lockf(_config["lock"], fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            if time.monotonic() < deadline:
                time.sleep(0.001)
                continue
        break
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            fcntl.lockf(_config["lock"], fcntl.LOCK_UN)


def _write(descriptor: int, line: bytes) -> None:
    """Write in pieces that a pipe with any room takes as a whole (pipe(7))."""
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)
    for start in range(0, len(line), select.PIPE_BUF):
        if not poll.poll(_config["patience"] * 1000):
            _config["patience"] = 0.0
            return
        os.write(descriptor, line[start : start + select.PIPE_BUF])
        _config["patience"] = _PATIENCE


def stamp(_logger: object, level: str, record: EventDict) -> EventDict:
    """Put time and severity in front; a structlog processor."""
    now = time.time()
    text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{int(now % 1 * 1000):03}Z"
    severity = {"severity_text": level.upper(), "severity_number": SEVERITIES[level]}
    return {"timestamp": text, **severity, **record}


def censor(_logger: object, _level: str, record: EventDict) -> EventDict:
    """Take the secrets out; a structlog processor."""
    return {name: redact_all(value) for name, value in record.items()}


def as_json(record: EventDict) -> str:
    """Render a record as one JSON object."""
    return json.dumps(record, default=str, ensure_ascii=False)


def _for_people(level: str, record: EventDict) -> str:
    """Render a record as lines for people: the message, each problem, the remedy."""
    fields = dict(record)
    moment = fields.pop("timestamp")[:19].replace("T", " ") + "Z"
    # The exit code stands in the last line, and the rest is for machines.
    for name in ("severity_text", "severity_number", "event_name", "code", "figures", *_REFUSAL):
        fields.pop(name, None)
    body, hint = str(fields.pop("body")), fields.pop("hint", "")
    problems = fields.pop("problems", ())
    if problems:
        body = body.partition(": ")[0] + ":"
    long = {name: value for name, value in fields.items() if "\n" in str(value)}
    short = [f"{name}={_word(value)}" for name, value in fields.items() if name not in long]
    first, *more = body.splitlines() or [""]
    lines = [first + (f" ({', '.join(short)})" if short else "")]
    lines += [f"{_INDENT}{line}" for line in more]
    lines += [f"{_INDENT}- {problem}" for problem in problems]
    for name, value in long.items():
        lines.append(f"{_INDENT}{name}:")
        lines += [f"{_INDENT * 2}{line}" for line in str(value).splitlines()]
    lines += [f"{_INDENT}→ {hint}"] if hint else []
    text = "\n".join("".join(c if c.isprintable() else " " for c in line) for line in lines)
    word = "" if level == "info" else _coloured(f"{level}: ", level)
    return f"{moment}: {word}{text}"


def _word(value: object) -> str:
    if isinstance(value, dict):
        return " ".join(f"{name}={_word(part)}" for name, part in value.items())
    return str(value)


def _coloured(text: str, level: str) -> str:
    """Colour a word on a terminal, unless NO_COLOR is set (https://no-color.org)."""
    if not _config.get("colours", False) or level not in _COLOURS:
        return text
    return f"\x1b[{_COLOURS[level]}m{text}\x1b[0m"


def colour(*, wanted: bool) -> None:
    """Use colours if that is wanted and stdout is a terminal."""
    _config["colours"] = wanted and os.isatty(_config["descriptor"])
