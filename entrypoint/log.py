"""What the program says: one event a line, on stdout, without any secret.

The steps below are structlog processors. On a terminal structlog renders them. As JSON, PID 1
renders them itself: importing structlog costs 60 ms and 9 MB (it imports asyncio), which PID 1
would keep for as long as the runner waits for a job.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import sys
import time
from collections.abc import Callable, MutableMapping
from typing import Any

from entrypoint.redaction import redact_all

EventDict = MutableMapping[str, Any]
LEVELS = ("debug", "info", "warning", "error")

_PATIENCE = 0.5  # seconds that a reader has to make room, before lines are left out
_config: dict[str, Any] = {
    "descriptor": 1,
    "patience": _PATIENCE,
    "level": "info",
    "console": False,
}


def configure(level: str = "info", form: str = "auto") -> None:
    """Set the least level, and the form: console, json, or auto (console on a terminal).

    What is not known counts as the default, so that it can be told of in a proper form.
    """
    _config["level"] = level if level in LEVELS else "info"
    _config["console"] = form == "console" or (form != "json" and os.isatty(_config["descriptor"]))


def write_to(descriptor: int) -> None:
    """Write there instead of to stdout, which is captured in some forked children."""
    _config["descriptor"] = descriptor


def debug(event: str, **fields: Any) -> None:
    """Say what only a search for a defect needs."""
    _say("debug", event, fields)


def info(event: str, **fields: Any) -> None:
    """Say what an operator wants to read on a good day."""
    _say("info", event, fields)


def warning(event: str, **fields: Any) -> None:
    """Say what was put right, or will go wrong later."""
    _say("warning", event, fields)


def error(event: str, **fields: Any) -> None:
    """Say what ended the program."""
    _say("error", event, fields)


def _say(level: str, event: str, fields: dict[str, Any]) -> None:
    if LEVELS.index(level) < LEVELS.index(_config["level"]):
        return
    record: EventDict = {"event": event, **fields}
    for processor in (_stamp, _censor):
        record = processor(None, level, record)
    render = _console() if _config["console"] else _as_json
    line = f"{render(None, level, record)}\n".encode(errors="backslashreplace")
    with contextlib.suppress(OSError):  # a life does not end because nobody reads its log
        _write(_config["descriptor"], line)


def _write(descriptor: int, line: bytes) -> None:
    """Write a line, or what there is room for: a stop does not wait for a reader who does not read.

    In pieces that a pipe with any room takes as a whole (pipe(7)).
    """
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)
    for start in range(0, len(line), select.PIPE_BUF):
        if not poll.poll(_config["patience"] * 1000):
            _config["patience"] = 0.0
            return
        os.write(descriptor, line[start : start + select.PIPE_BUF])
        _config["patience"] = _PATIENCE


def _stamp(_logger: object, level: str, record: EventDict) -> EventDict:
    now = time.time()
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{int(now % 1 * 1000):03}Z"
    return {"timestamp": stamp, "level": level, **record}


def _censor(_logger: object, _level: str, record: EventDict) -> EventDict:
    return {name: redact_all(value) for name, value in record.items()}


def _as_json(_logger: object, _level: str, record: EventDict) -> str:
    return json.dumps(record, default=str)


def _console() -> Callable[..., Any]:
    """Return structlog's renderer, with colours where a terminal shows them."""
    if "renderer" not in _config:
        import structlog.dev  # see the top of this file

        _config["renderer"] = structlog.dev.ConsoleRenderer(colors=sys.stdout.isatty())
    renderer: Callable[..., Any] = _config["renderer"]
    return renderer
