"""Counts real-time signals, while its children and orphans come and go.

At SIGRTMAX, the last one, it prints how many of each came, and exits with 42.
"""

import collections
import os
import signal

EVERY = signal.valid_signals()
signal.pthread_sigmask(signal.SIG_BLOCK, EVERY)


def churn() -> None:
    """Fork children and orphans as fast as possible until killed."""
    while True:
        pid = os.fork()
        if pid == 0:
            if os.fork() == 0:
                os._exit(1)
            os._exit(2)
        os.waitpid(pid, 0)


churner = os.fork()
if churner == 0:
    churn()
print(f"ready (pid {os.getpid()})", flush=True)
came: collections.Counter[int] = collections.Counter()
while signal.SIGRTMAX not in came:
    came[signal.sigwaitinfo(EVERY).si_signo] += 1
os.kill(churner, signal.SIGKILL)
os.waitpid(churner, 0)
for signum in sorted(came):
    print(int(signum), came[signum], flush=True)
os._exit(42)
