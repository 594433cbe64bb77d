"""Signals, children and orphans at once, as fast as they can come."""

import random
import resource
import signal
import time

from tests.exec.conftest import Start
from tests.exec.harness import is_stopped, victim, wait_until

SECONDS = 2.0
QUEUED = range(signal.SIGRTMIN, signal.SIGRTMIN + 8)  # each is queued; others merge
MERGED = [
    signal.SIGHUP,
    signal.SIGINT,
    signal.SIGQUIT,
    signal.SIGTERM,
    signal.SIGUSR1,
    signal.SIGPIPE,
    signal.SIGCHLD,
    signal.SIGWINCH,
    signal.SIGTSTP,
    signal.SIGCONT,
]
# All processes of a user share a limit of queued signals. Beyond it they merge, too.
# A process of the command's group that takes none would use up that limit.
MOST = min(20_000, resource.getrlimit(resource.RLIMIT_SIGPENDING)[0] // 8)


def test_nothing_is_lost_in_a_storm(start: Start) -> None:
    """Every queued signal arrives, the code is the command's, and stderr is empty."""
    started = start("--", *victim("storm"))
    started.ready()
    sent = dict.fromkeys(QUEUED, 0)
    pid, child, ends = started.pid, started.child, time.monotonic() + SECONDS
    while time.monotonic() < ends:
        started.signal(random.choice(MERGED))
        if sum(sent.values()) < MOST:
            signum = random.choice(QUEUED)
            sent[signum] += 1
            started.signal(signum)

    def awake() -> bool:
        started.signal(signal.SIGCONT)
        return not is_stopped(pid) and not is_stopped(child)

    wait_until(awake)
    started.signal(signal.SIGRTMAX)
    came = {int(n): int(times) for n, times in (line.split() for line in started.rest())}
    assert {n: came.get(n, 0) for n in QUEUED} == sent
    assert (started.wait(), started.stderr()) == (42, "")
