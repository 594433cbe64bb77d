"""RUNNER_METRICS_FILE: a runner's figures for the textfile collector of the node exporter."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Gauge, generate_latest

from entrypoint.container import files

_OLD = 86_400.0  # seconds; older files of other runners in the directory are deleted
_ABOUT = {
    "life_seconds": "seconds from the start of PID 1 to its end",
    "registration_seconds": "seconds from the start until GitHub listed the runner",
    "session_seconds": "seconds from the start until the listener listened for jobs",
    "idle_seconds": "seconds that the listener waited for a job, the stop or the end",
    "job_seconds": "seconds that the job took",
    "stop_seconds": "seconds from the stop to the end",
    "github_requests": "requests to GitHub's API, without repetitions",
    "github_requests_repeated": "repetitions of requests to GitHub's API",
    "github_rate_limit_left": "requests that GitHub's rate limit left at the last answer",
    "container_memory_peak_bytes": "largest memory of the container, by its control group",
    "container_cpu_seconds": "processor time of the container, by its control group",
    "runner_memory_peak_bytes": "memory of the largest process of listener, worker and job",
    "runner_cpu_seconds": "processor time of listener, worker and job",
    "listener_cpu_seconds": "processor time of the listener until the last look during the job",
    "job_cpu_seconds": "processor time of worker and job, and of the listener after that look",
    "exit_code": "exit code of the container",
    "ended_timestamp_seconds": "when the life ended, in seconds since 1970",
}
_PREFIX, _SUFFIX = "gh-runner-", ".prom"


def write(path: str, name: str, code: int, found: Mapping[str, float]) -> str:
    """Write the file in one step; return "", or why it cannot be written.

    In a directory each runner gets a file of its own name. Files of other runners that are older
    than a day are deleted, because the collector would show them for ever.
    """
    directory, file = _place(path, name)
    try:
        opened = files.open_directory(directory)
        try:
            files.put(opened, file, _render(name, code, found))
            _delete_old(opened, file)
        finally:
            os.close(opened)
    except OSError as error:
        return f"{path}: {error.strerror}"
    return ""


def try_out(path: str) -> str:
    """Write a file where `write` would, and remove it; return why that fails, or ""."""
    directory, _ = _place(path, "")
    try:
        files.try_out(directory)
    except OSError as error:
        return f"{path}: {error.strerror}"
    return ""


def _place(path: str, name: str) -> tuple[str, str]:
    """Return the directory and the name of a runner's file."""
    if path.endswith("/") or os.path.isdir(path):
        return path, f"{_PREFIX}{name}{_SUFFIX}"
    directory, file = os.path.split(path)
    return directory or "/", file


def _render(name: str, code: int, found: Mapping[str, float]) -> bytes:
    registry = CollectorRegistry()
    for figure, value in {
        **found,
        "exit_code": code,
        "ended_timestamp_seconds": time.time(),
    }.items():
        about = f"One life of a runner: {_ABOUT[figure]}"
        Gauge(f"gh_runner_{figure}", about, ["runner"], registry=registry).labels(name).set(value)
    return generate_latest(registry)


def _delete_old(directory: int, but: str) -> None:
    for entry in os.listdir(directory):
        if entry.startswith(_PREFIX) and entry.endswith(_SUFFIX) and entry != but:
            about = os.stat(entry, dir_fd=directory, follow_symlinks=False)
            if time.time() - about.st_mtime > _OLD:
                os.unlink(entry, dir_fd=directory)
