"""Print the time of each SIGUSR1, in nanoseconds of the monotonic clock."""

import os
import signal
import time

signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
os.write(1, b"ready\n")
while True:
    signal.sigwaitinfo({signal.SIGUSR1})
    os.write(1, b"%d\n" % time.monotonic_ns())
