"""Make N orphans, which all end when stdin ends."""

import os
import sys
import time

if os.fork() == 0:
    for _ in range(int(sys.argv[1])):
        if os.fork() == 0:
            os.read(0, 1)
            os._exit(0)
    os._exit(0)
os.wait()
os.write(1, b"ready\n")
while True:
    time.sleep(60)
