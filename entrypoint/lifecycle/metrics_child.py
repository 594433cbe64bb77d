"""RUNNER_METRICS_FILE: a runner's figures for the textfile collector of the node exporter."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Gauge, generate_latest

from entrypoint.container import files

_OLD = 86_400.0  # seconds; older files of other runners in the directory are deleted
_PREFIX, _SUFFIX = "gh-runner-", ".prom"


def write(path: str, name: str, code: int, found: Mapping[str, float]) -> str:
    """Write the file in one step; return "", or why it cannot be written.

    In a directory each runner gets a file of its own name. Files of other runners that are older
    than a day are deleted, because the collector would show them for ever.
    """
    try:
        if path.endswith("/") or os.path.isdir(path):
            directory, file = path, f"{_PREFIX}{name}{_SUFFIX}"
        else:
            directory, file = os.path.split(path)
        opened = files.open_directory(directory or "/")
        try:
            files.put(opened, file, _render(name, code, found))
            _delete_old(opened, file)
        finally:
            os.close(opened)
    except OSError as error:
        return f"{path}: {error.strerror}"
    return ""


def _render(name: str, code: int, found: Mapping[str, float]) -> bytes:
    registry = CollectorRegistry()
    for figure, value in {
        **found,
        "exit_code": code,
        "ended_timestamp_seconds": time.time(),
    }.items():
        about = f"{figure.replace('_', ' ')} of one life of a runner"
        Gauge(f"gh_runner_{figure}", about, ["runner"], registry=registry).labels(name).set(value)
    return generate_latest(registry)


def _delete_old(directory: int, but: str) -> None:
    for entry in os.listdir(directory):
        if entry.startswith(_PREFIX) and entry.endswith(_SUFFIX) and entry != but:
            about = os.stat(entry, dir_fd=directory, follow_symlinks=False)
            if time.time() - about.st_mtime > _OLD:
                os.unlink(entry, dir_fd=directory)
