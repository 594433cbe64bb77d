"""The Pod Security Standards of Kubernetes: a table of the values that each of them allows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from tests.deploy import kubernetes
from tests.deploy.kubernetes import Object

LEVELS = ("privileged", "baseline", "restricted")  # each forbids more than the one before it
_CONTAINERS = ("initContainers", "containers", "ephemeralContainers")


def violations(pod: Object, level: str) -> list[str]:
    """Return path and value of each field that the standard forbids."""
    table = kubernetes.data("pod-security-standards")
    stricter = LEVELS[1 : LEVELS.index(level) + 1]
    return [
        f"{control['control']}: {path} is {value!r}"
        for name in stricter
        for control in table[name]
        for pattern in control["fields"]
        for path, value in _fields(pod, pattern)
        if not _is_allowed(pod, control, value)
    ]


def _is_allowed(pod: Object, control: Object, value: Any) -> bool:
    if value is None and "inherits" in control:
        ((_, value),) = _fields(pod, control["inherits"])
    if "keys" in control:
        return set(value) <= set(control["keys"])
    if "contains" in control:
        return control["contains"] in (value or [])
    if "not" in control:
        return value not in control["not"]
    return value in control["allowed"]


def _fields(pod: Object, pattern: str) -> Iterator[tuple[str, Any]]:
    """Yield path and value of each field that fits the pattern; None for a missing one."""
    if "*ontainers" in pattern:
        for kind in _CONTAINERS:
            yield from _fields(pod, pattern.replace("*ontainers", kind))
        return
    yield from _values(pod, re.findall(r"\w+|\[\*\]", pattern), "")


def _values(value: Any, steps: list[str], path: str) -> Iterator[tuple[str, Any]]:
    if not steps:
        yield path, value
    elif steps[0] == "[*]":
        for number, item in enumerate(value or []):
            yield from _values(item, steps[1:], f"{path}[{number}]")
    else:
        below = (value or {}).get(steps[0])
        yield from _values(below, steps[1:], f"{path}.{steps[0]}".lstrip("."))
