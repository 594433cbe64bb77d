"""The shapes of jobs: what a cancellation or the end of a container meets."""

from dataclasses import dataclass

from simulator.hub.model import HANGS

CLEANED = "cleaned up"


@dataclass(frozen=True)
class Shape:
    """A bash script, whether it ends by itself, and how its runner hangs with it.

    `hang` is one of those of `Simulator.queue_job`.
    """

    run: str
    ends: bool = False
    hang: str = ""


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
    "stops its listener": Shape(
        "echo begun; kill -STOP \"$(cut -d' ' -f4 /proc/$PPID/stat)\"", ends=True
    ),
    **{hang: Shape("sleep 0.2", ends=True, hang=hang) for hang in HANGS},
    "cleans up": Shape(f"trap 'sleep 2; echo {CLEANED}; exit 1' INT\necho begun\nsleep 60 & wait"),
}
HANGING = [*HANGS, "stops its listener"]
ENDING = [name for name, shape in SHAPES.items() if shape.ends and name not in HANGING]
ENDLESS = [name for name, shape in SHAPES.items() if not shape.ends]
