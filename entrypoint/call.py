"""Call a function in a process of its own, and get its result or its Failure.

PID 1 calls all code in this way that talks to GitHub, parses a file or reads a secret. So PID 1
can always act on signals, stays small, and never has a secret in its memory.
"""

from __future__ import annotations

import marshal  # as in vault.py
import sys
import time

from entrypoint import log, redaction
from entrypoint.errors import ExitCode, Failure
from entrypoint.init import processes
from entrypoint.init.child import Child
from entrypoint.init.pid1 import Init
from entrypoint.init.signals import kill

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Any

SLOW = 4.0  # seconds; an operator is told of a longer wait


def start(init: Init, function: Callable[[], Any], *, capture: bool = False) -> Child:
    """Start a call; the function's result must consist of values that marshal can hold."""
    return init.fork(lambda: answer(function), capture=capture)


def answer(function: Callable[[], Any]) -> bytes:
    """In the child, call the function; return its result or Failure in the form for `result`."""
    sys.excepthook = _tell_defect
    try:
        return marshal.dumps({"result": function()})
    except Failure as failure:
        told = {
            "code": int(failure.code),
            "message": redaction.redact(failure.message),
            "hint": redaction.redact(failure.hint),
            "problems": [redaction.redact(problem) for problem in failure.problems],
            "fields": redaction.redact_all(failure.fields),
        }
        return marshal.dumps({"failure": told})


def _tell_defect(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """Log a traceback, with the secrets redacted that this process knows."""
    import traceback  # takes 4 ms, and is needed only for a defect

    words = "".join(traceback.format_exception(kind, error, trace))
    log.error("life.defect", "a child process of gh-runner has failed", traceback=words)


def result(child: Child) -> Any:
    """Return what the function returned, or raise the Failure that it raised."""
    packed, said = child.answer(), child.output()
    told: dict[str, Any] = marshal.loads(packed) if packed else {}  # noqa: S302 - by our own child
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
    """Kill the child of a call with all its descendants, and free its answer."""
    if child.outcome is None:
        for pid in processes.below({child.pid}, processes.snapshot()):
            kill(pid)
    try:
        init.end(child)
    finally:
        child.close()


def wait(
    init: Init, function: Callable[[], Any], deadline: float | None = None, what: str = ""
) -> Any:
    """Call a function and wait for its result; at the deadline kill it and return None.

    `deadline` is a moment of time.monotonic(). `what` is awaited; see `wait_for`.
    """
    child = start(init, function)
    try:
        wait_for(init, lambda: child.outcome is not None, deadline, what)
        return None if child.outcome is None else result(child)
    finally:
        end(init, child)


def wait_for(init: Init, condition: Callable[[], bool], deadline: float | None, what: str) -> bool:
    """Wait as Init.wait_for does; log what is awaited, and the limit, if that takes long."""
    slow = time.monotonic() + SLOW
    if what and (deadline is None or deadline > slow):
        if init.wait_for(condition, slow):
            return True
        tell_wait(what, deadline)
    return init.wait_for(condition, deadline)


def tell_wait(what: str, deadline: float | None) -> None:
    """Log what is awaited, and for how long it will be awaited from now on."""
    limit = None if deadline is None else max(0, round(deadline - time.monotonic()))
    until = "" if limit is None else f", for at most {limit} s more"
    log.info("life.waiting", f"waiting for {what}{until}", limit=limit)
