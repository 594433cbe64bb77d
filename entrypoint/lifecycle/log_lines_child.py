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
        self._size = 0
        self._dropped = self._dropped_told = 0  # lines that were left out since the beginning
        self._division_told = False
        self._patience = _PATIENCE
        # structlog renders each record, and passes it to `info` below, which keeps it.
        self._logger = structlog.wrap_logger(
            self,
            processors=[
                structlog.processors.EventRenamer("body"),
                log.stamp,
                log.censor,
                log.name_runner,
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
        # Wait a moment before lines are dropped: a log that is read slowly must lose nothing. But
        # wait only once while nobody reads, because GitHub's programs wait meanwhile.
        if self._size > _LARGEST_BACKLOG:
            self._patience = _PATIENCE if self.write(self._patience) else 0
        return bool(found)

    def _add(self, line: bytes) -> None:
        if not line.strip():
            return
        if self._size > _LARGEST_BACKLOG:
            self._dropped += 1
            return
        self._tell_dropped()
        if len(line) > _LONGEST and not self._division_told:
            self._division_told = True
            self._logger.warning("a long line is divided", event_name="log.divided")
        for start in range(0, len(line), _LONGEST):
            text = line[start : start + _LONGEST].decode(errors="replace").rstrip("\r")
            head = _HEAD.match(text)
            level = _LEVELS[head[1]] if head else "info"
            getattr(self._logger, level)(text, event_name="runner.said", source="runner")

    def _tell_dropped(self) -> None:
        """Say how many lines are missing so far, unless that was said."""
        if self._dropped > self._dropped_told:
            self._dropped_told = self._dropped
            said = f"{self._dropped} lines were left out so far, because this log was not read"
            self._logger.warning(said, event_name="log.dropped", lines=self._dropped)

    def write(self, patience: int) -> bool:
        """Write while stdout has room; wait up to `patience` milliseconds for room.

        Returns whether a line was written. A line is lost if the disk of the log is full, or if its
        reader has ended.
        """
        poll = select.poll()
        poll.register(1, select.POLLOUT)
        before = self._size
        while self._backlog and poll.poll(patience):
            record = self._backlog.popleft()
            self._size -= len(record)
            try:
                log.write_line(record)
            except OSError:
                self._dropped += 1
        return self._size < before

    def finish(self) -> None:
        """Write what is left, as long as the log is read."""
        self._add(self._rest)
        self._tell_dropped()
        self.write(_LAST_PATIENCE)
