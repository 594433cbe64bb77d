"""Golden files: what a life prints, reviewed once, and compared without what varies.

What varies (times, durations, names, addresses, paths) is replaced by a word in angle brackets.
The order of two lines is compared only if one program has printed both: gh-runner and GitHub's
programs write into one log, and the kernel decides which of them comes first.
"""

from __future__ import annotations

import json
import os
import re
from itertools import groupby
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[1] / "data" / "golden"
WRITES = os.environ.get("GOLDEN") == "write"

_VARYING = {
    r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d+)?Z": "<time>",
    r"\br-[0-9a-f]{8}\b": "<runner>",
    r"127\.0\.0\.1:\d+": "<github>",
    r"(?<=x-github-request-id )[0-9A-F]+": "<request id>",
    r"/tmp/gh-runner-\w+": "<directory>",
    r"(?<=seconds=)[\d.]+": "<seconds>",
    r"(?<=wait )\d+ s, and \d+ s are left": "<seconds> s, and <seconds> s are left",
}
_VARYING_FIELDS = {"timestamp", "seconds", "request_id"}
# Known only where the machine has a control group, and where PID 1 was in time to see the worker.
_OF_THE_MACHINE = (
    *("container_memory_peak_bytes", "container_cpu_seconds"),
    *("listener_cpu_seconds", "job_cpu_seconds"),
)
_RUNNERS = re.compile(r"<time>: (Listening for Jobs|Running job|Job .* completed with)")


def check(name: str, output: str) -> None:
    """Compare an output with the golden file of that name; with GOLDEN=write, write the file."""
    path = FOLDER / name
    found = _json(output) if path.suffix == ".jsonl" else _console(output)
    if WRITES:
        path.write_text("\n".join(found) + "\n")
    expected = path.read_text().splitlines()
    for is_runners in (False, True):
        assert _part(found, is_runners) == _part(expected, is_runners), output


def _console(output: str) -> list[str]:
    return [_plain(line) for line in output.splitlines()]


def _json(output: str) -> list[str]:
    records = [json.loads(line) for line in output.splitlines()]
    return [json.dumps(_without_varying(record), ensure_ascii=False) for record in records]


def _plain(text: str) -> str:
    for pattern, word in _VARYING.items():
        text = re.sub(pattern, word, text)
    return text


def _without_varying(record: dict[str, Any]) -> dict[str, Any]:
    kept = {name: "<varies>" if name in _VARYING_FIELDS else v for name, v in record.items()}
    if "figures" in kept:
        kept["figures"] = {n: "<number>" for n in kept["figures"] if n not in _OF_THE_MACHINE}
    return {n: json.loads(_plain(json.dumps(v))) for n, v in kept.items()}


def _part(lines: list[str], is_runners: bool) -> list[str]:
    """Return the lines of GitHub's programs, or ours; of the same line twice in a row only one."""
    found = [line for line in lines if _is_runners(line) == is_runners]
    return [line for line, _ in groupby(found)]


def _is_runners(line: str) -> bool:
    if line.startswith("{"):
        return '"source": "runner"' in line
    return not line.startswith(("<time>: ", "  ")) or bool(_RUNNERS.match(line))
