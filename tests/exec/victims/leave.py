"""Leaves a process behind and exits with 5; the argument says how that one takes SIGTERM."""

import os
import signal
import sys
import time

how = sys.argv[1]
signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
reading, writing = os.pipe()
if os.fork() == 0:
    os.setsid()  # a signal to the process group does not reach it
    pid = os.fork()
    if pid == 0:
        if how == "stopped":
            os.kill(os.getpid(), signal.SIGSTOP)
        while signal.sigwaitinfo(signal.valid_signals()).si_signo != signal.SIGTERM:
            pass
        if how == "deaf":
            signal.sigwaitinfo({signal.SIGUSR1})
        if how == "counting" and (more := signal.sigtimedwait({signal.SIGCONT}, 0.3)):
            print(f"signal {more.si_signo} as well", flush=True)
        time.sleep(0.2 if how == "slow" else 0)  # the time that a clean-up takes
        print("cleaned up", flush=True)
        os._exit(0)
    if how == "stopped":
        os.waitpid(pid, os.WUNTRACED)
    os.write(writing, b"!")
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    signal.pause()
os.read(reading, 1)
print(f"ready (pid {os.getpid()})", flush=True)
os._exit(5)
