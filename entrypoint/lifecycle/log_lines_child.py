"""Turns the lines of GitHub's programs into JSON records, in a child of PID 1."""

from __future__ import annotations

import collections
import os
import re
import select

import structlog

from entrypoint import log
from entrypoint.init.signals import raise_at_terminate

_LONGEST = 3000  # bytes; so a record is below the 4096 that a pipe takes in one piece (pipe(7))
_LARGEST_BACKLOG = 1 << 22  # bytes that are kept while the log is not read; then lines are dropped
_READ = 1 << 16  # bytes
_PATIENCE = 500  # milliseconds that the log's reader has to make room before lines are dropped
_LAST_PATIENCE = 200  # milliseconds that the log's reader has at the end
_LEVELS = {"INFO": "info", "WARN": "warning", "ERR": "error", "VERB": "debug"}
# The beginning of a line of the runner's trace, which ACTIONS_RUNNER_PRINT_LOG_TO_STDOUT=1 prints.
_HEAD = re.compile(r"\[(?:[A-Z]+ )?\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ (INFO|WARN|ERR|VERB)\b")


class _Ended(Exception):
    """PID 1 has asked this child to end, by SIGTERM."""


def convert(reader: int) -> None:
    """Write a record for each line, until the end of the pipe or until SIGTERM."""
    raise_at_terminate(_Ended)
    os.set_blocking(reader, False)
    lines = Lines()
    try:
        while lines.take_in(reader, wait=True):
            lines.write(0)
    except _Ended:
        while lines.take_in(reader, wait=False):
            lines.write(0)
    lines.finish()


class Lines:
    """Lines that have been read and not been written yet."""

    def __init__(self) -> None:
        """Begin without any line."""
        self._rest = b""
        self._backlog: collections.deque[str] = collections.deque()
        self._size = self._dropped = 0
        self._is_told = False
        # structlog renders each record, and passes it to `info` below, which keeps it.
        self._logger = structlog.wrap_logger(
            self,
            processors=[
                structlog.processors.EventRenamer("body"),
                log.stamp,
                log.censor,
                structlog.processors.JSONRenderer(ensure_ascii=False),
            ],
            wrapper_class=structlog.BoundLogger,
        )

    def info(self, record: str) -> None:
        """Keep a rendered record until it can be written."""
        self._backlog.append(record)
        self._size += len(record)

    debug = warning = error = info

    def take_in(self, reader: int, *, wait: bool) -> bool:
        """Read once; return False at the end of the pipe, or without `wait` if it is empty."""
        poll = select.poll()
        poll.register(reader, select.POLLIN)
        if self._backlog:
            poll.register(1, select.POLLOUT)
        poll.poll(None if wait else 0)
        try:
            found = os.read(reader, _READ)
        except BlockingIOError:
            return wait
        *lines, self._rest = (self._rest + found).split(b"\n")
        for line in lines:
            self._add(line)
        while len(self._rest) > _LONGEST:
            self._add(self._rest[:_LONGEST])
            self._rest = self._rest[_LONGEST:]
        # Wait a moment before lines are dropped: a log that is read slowly must lose nothing.
        if self._size > _LARGEST_BACKLOG:
            self.write(_PATIENCE)
        return bool(found)

    def _add(self, line: bytes) -> None:
        if not line.strip():
            return
        if self._size > _LARGEST_BACKLOG:
            self._dropped += 1
            return
        if self._dropped:
            said = f"{self._dropped} lines were left out, because nobody reads this log"
            self._logger.warning(said, event_name="log.dropped")
            self._dropped = 0
        if len(line) > _LONGEST and not self._is_told:
            self._is_told = True
            self._logger.warning("a long line is divided", event_name="log.divided")
        for start in range(0, len(line), _LONGEST):
            text = line[start : start + _LONGEST].decode(errors="replace").rstrip("\r")
            head = _HEAD.match(text)
            level = _LEVELS[head[1]] if head else "info"
            getattr(self._logger, level)(text, event_name="runner.said", source="runner")

    def write(self, patience: int) -> None:
        """Write while stdout has room; wait up to `patience` milliseconds for room."""
        poll = select.poll()
        poll.register(1, select.POLLOUT)
        while self._backlog and poll.poll(patience):
            record = self._backlog.popleft()
            self._size -= len(record)
            log.write_line(record)

    def finish(self) -> None:
        """Write what is left, as long as the log is read."""
        self._add(self._rest)
        self.write(_LAST_PATIENCE)
