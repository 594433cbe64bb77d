"""Makes N orphans that end at once; exits with 7 once none of them is left in /proc."""

import os
import sys
import time

BATCH = 500
TIMEOUT = 40.0  # seconds

print(f"ready (pid {os.getpid()})", flush=True)
before = set(os.listdir("/proc"))
for _ in range(0, int(sys.argv[1]), BATCH):
    reading, writing = os.pipe()
    middle = os.fork()
    if middle == 0:
        os.close(writing)
        for _ in range(BATCH):
            if os.fork() == 0:
                os.read(reading, 1)
                os._exit(9)
        os._exit(0)
    os.waitpid(middle, 0)
    os.close(reading)
    os.close(writing)  # the orphans wait for the end of this pipe
deadline = time.monotonic() + TIMEOUT
while left := {name for name in set(os.listdir("/proc")) - before if name.isdigit()}:
    if time.monotonic() > deadline:
        sys.exit(f"{len(left)} are left")
    time.sleep(0.01)
os._exit(7)
