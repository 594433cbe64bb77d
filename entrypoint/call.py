"""Call a function in a process of its own, and get its result or its Failure.

Whatever talks to GitHub, parses a file or holds a secret is called this way: PID 1 stays free
for signals, small, and ignorant.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from entrypoint import redaction
from entrypoint.errors import ExitCode, Failure
from entrypoint.init import processes
from entrypoint.init.child import Child
from entrypoint.init.pid1 import Init
from entrypoint.init.signals import kill

if TYPE_CHECKING:
    from types import TracebackType


def start(init: Init, function: Callable[[], Any], *, capture: bool = False) -> Child:
    """Start a call; its result must be something that JSON can carry."""
    return init.fork(lambda: answer(function), capture=capture)


def answer(function: Callable[[], Any]) -> bytes:
    """Call a function in a forked child, and return what `result` turns back into its result."""
    sys.excepthook = _tell_defect
    try:
        return json.dumps({"result": function()}).encode()
    except Failure as failure:
        told = {
            "code": int(failure.code),
            "message": redaction.redact(failure.message),
            "hint": redaction.redact(failure.hint),
            "problems": [redaction.redact(problem) for problem in failure.problems],
            "fields": redaction.redact_all(failure.fields),
        }
        return json.dumps({"failure": told}).encode()


def _tell_defect(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """Print a traceback without the secrets that this process knows."""
    import traceback  # 4 ms of each start

    words = "".join(traceback.format_exception(kind, error, trace))
    os.write(2, redaction.redact(words).encode(errors="backslashreplace"))


def result(child: Child) -> Any:
    """Return what the function returned, or raise the Failure that it raised."""
    told, said = json.loads(child.answer() or b"{}"), child.output()
    child.close()
    if "failure" in told:
        parts = told["failure"]
        raise Failure(
            ExitCode(parts["code"]),
            parts["message"],
            parts["hint"],
            tuple(parts["problems"]),
            **parts["fields"],
        )
    if "result" not in told:
        raise Failure(
            ExitCode.DEFECT, f"a child process ended with {child.outcome}: {redaction.redact(said)}"
        )
    return told["result"]


def end(init: Init, child: Child) -> None:
    """Kill a call, with whatever it has started, and let go of its answer, if there is one."""
    if child.outcome is None:
        for pid in processes.below({child.pid}, processes.snapshot()):
            kill(pid)
    try:
        init.end(child)
    finally:
        child.close()


def wait(init: Init, function: Callable[[], Any], deadline: float | None = None) -> Any:
    """Call a function and wait for its result; None at the deadline, when it is killed."""
    child = start(init, function)
    try:
        return None if init.wait(child, deadline) is None else result(child)
    finally:
        end(init, child)
