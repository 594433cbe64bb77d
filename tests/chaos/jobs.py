"""The shapes of jobs: what a cancellation or the end of a container meets."""

from dataclasses import dataclass

CLEANED = "cleaned up"


@dataclass(frozen=True)
class Shape:
    """A bash script, and whether it ends by itself."""

    run: str
    ends: bool = False


SHAPES = {
    "quick": Shape("echo begun; sleep 0.3; echo done", ends=True),
    "leaves a child": Shape("setsid sleep 60 >/dev/null 2>&1 & sleep 0.2", ends=True),
    "leaves a stubborn child": Shape(
        "setsid bash -c \"trap '' INT TERM; sleep 60 & wait; sleep 60\" >/dev/null 2>&1 &\n"
        "sleep 0.2",
        ends=True,
    ),
    "sleeps": Shape("sleep 60"),
    "execs": Shape("exec sleep 60"),
    "ignores signals": Shape("trap '' INT TERM\nwhile :; do sleep 0.2; done"),
    "other sessions": Shape("setsid sleep 60 &\nsetsid sleep 61 &\nwait"),
    "double fork": Shape("(setsid bash -c 'sleep 60 & sleep 61' &) >/dev/null 2>&1\nsleep 62"),
    "cleans up": Shape(f"trap 'sleep 2; echo {CLEANED}; exit 1' INT\necho begun\nsleep 60 & wait"),
}
ENDING = [name for name, shape in SHAPES.items() if shape.ends]
ENDLESS = [name for name, shape in SHAPES.items() if not shape.ends]
