"""PID 1 above the init under test: it reaps the init only, and tells if a process is left."""

import os
import sys

LEFT_BEHIND = 99

pid = os.posix_spawnp(sys.argv[1], sys.argv[1:], os.environ)
_, status = os.waitpid(pid, 0)
left = [name for name in os.listdir("/proc") if name.isdigit() and name != "1"]
if left:
    os.write(2, f"left behind: {left}\n".encode())
    sys.exit(LEFT_BEHIND)
code = os.waitstatus_to_exitcode(status)
sys.exit(code if code >= 0 else 128 - code)
