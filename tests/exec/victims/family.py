"""A process and its child: on SIGTERM the process asks the child which signals it got."""

import os
import signal

signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
pid = os.fork()
if pid == 0:
    came = set()
    while signal.SIGUSR1 not in came:
        came.add(signal.sigwaitinfo(signal.valid_signals()).si_signo)
    print("child", sorted(int(s) for s in came | signal.sigpending()), flush=True)
    os._exit(0)
print(f"ready (pid {os.getpid()})", flush=True)
while signal.sigwaitinfo(signal.valid_signals()).si_signo != signal.SIGTERM:
    pass
os.kill(pid, signal.SIGUSR1)
os.waitpid(pid, 0)
