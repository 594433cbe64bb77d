"""The program's log on stdout: lines for people or JSON for programs, with all secrets redacted.

This module renders the lines itself. To import structlog takes 60 ms and 9 MB (it imports asyncio),
and PID 1 would keep that memory while the runner waits for a job. Only the child that turns the
lines of GitHub's programs into JSON uses structlog (log_lines_child.py). docs/logging.md lists the
names of the events.
"""

from __future__ import annotations

import fcntl
import os
import select
import time

from entrypoint import json_text
from entrypoint.redaction import redact_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, MutableMapping
    from typing import Any

    EventDict = MutableMapping[str, Any]

LEVELS = ("debug", "info", "warning", "error")
# The numbers of OpenTelemetry (https://opentelemetry.io/docs/specs/otel/logs/data-model/).
SEVERITIES = {"debug": 5, "info": 9, "warning": 13, "error": 17}

_PATIENCE = 0.5  # seconds that the log's reader has to make room before a line is dropped
_COLOURS = {"debug": "2", "warning": "33", "error": "31"}
_INDENT = "  "
_LONGEST_WORD = 60  # characters of a field; a longer one stands on a line of its own
# Fields that only programs need: for people, the message says all of these.
_FOR_PROGRAMS = (
    *("severity_text", "severity_number", "event_name", "code", "figures", "limit"),
    *("kind", "method", "path", "status", "request_id"),  # of a refusal by GitHub
    *("result", "reported_by"),  # of a job
)
_config: dict[str, Any] = {
    "descriptor": 1,
    "patience": _PATIENCE,
    "level": "info",
    "json": False,
    "lock": None,
    "runner": {},
}


def configure(level: str = "info", form: str = "auto") -> None:
    """Set the lowest level that is logged, and the form: console, json, or auto, which is console.

    An unknown word means the default, so that the error about it can be logged.
    """
    level = level.lower()
    _config["level"] = level if level in LEVELS else "info"
    _config["json"] = form == "json"


def is_json() -> bool:
    """Return whether lines are JSON objects."""
    return bool(_config["json"])


def write_to(descriptor: int) -> None:
    """Write to a descriptor instead of stdout, for forked children whose stdout is captured."""
    _config["descriptor"] = descriptor


def share(descriptor: int) -> None:
    """Keep the lines of several processes apart: each locks this file while it writes a line."""
    _config["lock"] = descriptor


def belongs_to(**runner: Any) -> None:
    """Add the runner's `name`, `id` or both to each JSON object from now on, also in children."""
    _config["runner"] = {**_config["runner"], **runner}


def debug(event: str, body: str, **fields: Any) -> None:
    """Log something that is needed only to find a defect."""
    _say("debug", event, body, fields)


def info(event: str, body: str, **fields: Any) -> None:
    """Log something that an operator wants to read when all goes well."""
    _say("info", event, body, fields)


def warning(event: str, body: str, **fields: Any) -> None:
    """Log something that was corrected, or that may cause trouble later."""
    _say("warning", event, body, fields)


def error(event: str, body: str, **fields: Any) -> None:
    """Log something that ends the program, or a part of it."""
    _say("error", event, body, fields)


def _say(level: str, event: str, body: str, fields: dict[str, Any]) -> None:
    if LEVELS.index(level) < LEVELS.index(_config["level"]):
        return
    kept = {name: value for name, value in fields.items() if value not in ("", None, [], ())}
    record: EventDict = {"event_name": event, "body": body, **kept}
    for processor in (stamp, censor):
        record = processor(None, level, record)
    text = as_json(name_runner(None, level, record)) if is_json() else _for_people(level, record)
    try:
        write_line(text)
    except OSError:  # the reader of the log is gone: the runner goes on
        pass


def write_line(text: str) -> None:
    """Write a line to stdout; if the log's reader stalls, drop the line after a short wait."""
    if _config["lock"] is not None:
        _lock(_config["lock"])
    try:
        _write(_config["descriptor"], f"{text}\n".encode(errors="backslashreplace"))
    finally:
        if _config["lock"] is not None:
            _unlock(_config["lock"])


def _lock(descriptor: int) -> None:
    """Take the lock of `share`; go on without it if it is not free in time."""
    deadline = time.monotonic() + _config["patience"]
    while True:
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            if time.monotonic() < deadline:
                time.sleep(0.001)
                continue
        break


def _unlock(descriptor: int) -> None:
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_UN)
    except OSError:
        pass


def _write(descriptor: int, line: bytes) -> None:
    """Write in pieces of PIPE_BUF bytes: a pipe takes each of them as a whole (pipe(7))."""
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)
    for start in range(0, len(line), select.PIPE_BUF):
        if not poll.poll(_config["patience"] * 1000):
            _config["patience"] = 0.0
            return
        os.write(descriptor, line[start : start + select.PIPE_BUF])
        _config["patience"] = _PATIENCE


def stamp(_logger: object, level: str, record: EventDict) -> EventDict:
    """Put time and severity in front of a record. This is a structlog processor."""
    now = time.time()
    text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{int(now % 1 * 1000):03}Z"
    severity = {"severity_text": level.upper(), "severity_number": SEVERITIES[level]}
    return {"timestamp": text, **severity, **record}


def censor(_logger: object, _level: str, record: EventDict) -> EventDict:
    """Redact the secrets in a record. This is a structlog processor."""
    return {name: redact_all(value) for name, value in record.items()}


def name_runner(_logger: object, _level: str, record: EventDict) -> EventDict:
    """Add the runner that `belongs_to` has named. This is a structlog processor."""
    return {**record, **{n: v for n, v in _config["runner"].items() if n not in record}}


def as_json(record: EventDict) -> str:
    """Render a record as one JSON object."""
    return json_text.dumps(record)


def _for_people(level: str, record: EventDict) -> str:
    """Render a record as lines for people: the message, each problem, and the hint."""
    fields = dict(record)
    moment = fields.pop("timestamp")[:19].replace("T", " ") + "Z"
    for name in _FOR_PROGRAMS:
        fields.pop(name, None)
    body, hint = str(fields.pop("body")), fields.pop("hint", "")
    problems = fields.pop("problems", ())
    if problems:
        body = body.partition(": ")[0] + ":"
    words = {name: _word(value) for name, value in fields.items()}
    short = [f"{name}={word}" for name, word in words.items() if not _is_long(word)]
    first, *more = body.splitlines() or [""]
    lines = [first + (f" ({', '.join(short)})" if short else "")]
    lines += [f"{_INDENT}{line}" for line in more]
    lines += [f"{_INDENT}- {problem}" for problem in problems]
    for name, word in words.items():
        if "\n" in word:
            lines += [f"{_INDENT}{name}:", *(f"{_INDENT * 2}{line}" for line in word.splitlines())]
        elif _is_long(word):
            lines.append(f"{_INDENT}{name}: {word}")
    lines += [f"{_INDENT}→ {hint}"] if hint else []
    text = "\n".join("".join(c if c.isprintable() else " " for c in line) for line in lines)
    word = "" if level == "info" else _coloured(f"{level}: ", level)
    return f"{moment}: {word}{text}"


def _is_long(text: str) -> bool:
    return "\n" in text or len(text) > _LONGEST_WORD


def _word(value: object) -> str:
    if isinstance(value, dict):
        return " ".join(f"{name}={_word(part)}" for name, part in value.items())
    if isinstance(value, list):
        return ",".join(map(_word, value))
    return str(value)


def _coloured(text: str, level: str) -> str:
    """Colour a word on a terminal, unless NO_COLOR is set (https://no-color.org)."""
    if not _config.get("colours", False) or level not in _COLOURS:
        return text
    return f"\x1b[{_COLOURS[level]}m{text}\x1b[0m"


def wants_colour(environ: Mapping[str, str]) -> bool:
    """Return whether a terminal may get colours, by its own and by the operator's word."""
    return not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"


def colour(*, wanted: bool) -> None:
    """Use colours if they are wanted and stdout is a terminal."""
    _config["colours"] = wanted and os.isatty(_config["descriptor"])
