"""The work of PID 1 as its callers use it, with real processes; each test has its own."""

from __future__ import annotations

import ctypes
import functools
import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn, ParamSpec

import pytest

from entrypoint.init import child as child_module
from entrypoint.init import pid1, processes, signals
from entrypoint.init.pid1 import Init, Stopped, exit_code

P = ParamSpec("P")
ENV = {"PATH": os.environ["PATH"]}
SOON = 0.05  # seconds
LONG = 30.0  # seconds; longer than any test


def alone(test: Callable[P, None]) -> Callable[P, None]:
    """Run a test in a process of its own: an Init changes its signals and its children."""

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        sys.stdout.flush()
        pid = os.fork()
        if pid == 0:
            code = 1
            sys.stdout, sys.stderr = sys.__stdout__, sys.__stderr__  # without pytest in between
            try:
                test(*args, **kwargs)
                code = 0
            except BaseException:  # noqa: BLE001 - the end of this process
                traceback.print_exc()
            finally:
                os._exit(code)
        assert exit_code(os.waitpid(pid, 0)[1]) == 0

    return run


def within(seconds: float) -> float:
    """Return a deadline."""
    return time.monotonic() + seconds


def sleep_forever() -> NoReturn:
    """Never end."""
    while True:
        time.sleep(LONG)


def descriptors() -> list[str]:
    """Return the open descriptors."""
    return os.listdir("/proc/self/fd")


@pytest.mark.parametrize(
    ("command", "code"), [("exit 0", 0), ("exit 7", 7), ("kill -TERM $$", 143), ("kill -9 $$", 137)]
)
@alone
def test_exit_code_tells_an_end_by_a_signal(command: str, code: int) -> None:
    """A wait status becomes the exit code that a shell shows."""
    pid = os.posix_spawn("/bin/sh", ["sh", "-c", command], ENV)
    assert exit_code(os.waitpid(pid, 0)[1]) == code


@alone
def test_spawn_and_wait() -> None:
    """A program is started, and its exit code stays known."""
    pid_1 = Init()
    child = pid_1.spawn(["sh", "-c", "exit 7"], env=ENV)
    assert pid_1.is_ours(child.pid)
    assert pid_1.wait(child) == 7
    assert child.outcome == pid_1.wait(child) == 7
    assert not pid_1.is_ours(child.pid)


@alone
def test_children_end_in_any_order() -> None:
    """Each child has its own exit code, in whatever order they are waited for."""
    pid_1 = Init()
    started = [pid_1.spawn(["sh", "-c", f"exit {n}"], env=ENV) for n in range(20)]
    assert [pid_1.wait(child) for child in reversed(started)] == list(reversed(range(20)))


@alone
def test_spawn_gives_a_clean_start(tmp_path: Path) -> None:
    """Environment, directory, session, stdin and signals are those that the caller gives."""
    pid_1 = Init()
    script = 'env; pwd; [ $$ = $(ps -o sid= -p $$) ] && echo leader; cat; echo end; echo "$0" >&2'
    command = ["sh", "-c", script, "argument"]
    child = pid_1.spawn(command, env=ENV | {"ODD": "\udcff"}, cwd=str(tmp_path), capture=True)
    assert pid_1.wait(child) == 0
    output = child.output()
    assert "ODD=\ufffd\n" in output
    assert output.endswith(f"{tmp_path}\nleader\nend\nargument\n")
    assert os.getcwd() == "/"
    status = pid_1.spawn(["cat", "/proc/self/status"], env=ENV, capture=True)
    pid_1.wait(status)
    fields = dict(line.split(":\t", 1) for line in status.output().splitlines())
    glibc = 0b11 << 31  # signals 32 and 33
    assert int(fields["SigBlk"], 16) | int(fields["SigIgn"], 16) | glibc == glibc


@pytest.mark.parametrize(
    ("command", "cwd", "error"),
    [
        ("/no/such/program", "/", FileNotFoundError),
        ("/etc/passwd", "/", PermissionError),
        ("true", "/no/such/directory", FileNotFoundError),
    ],
)
@alone
def test_spawn_that_fails_leaves_nothing(command: str, cwd: str, error: type[OSError]) -> None:
    """A program that cannot be started is an OSError, and no descriptor stays open."""
    pid_1 = Init()
    before = descriptors()
    with pytest.raises(error):
        pid_1.spawn([command], env=ENV, cwd=cwd, capture=True)
    assert descriptors() == before
    assert os.getcwd() == "/"
    assert pid_1.alone()


def test_no_room_for_a_process() -> None:
    """If the kernel starts no process, fork and spawn raise OSError and leave nothing open."""
    script = """if True:
        import os
        from entrypoint.init.pid1 import Init
        pid_1, before = Init(), os.listdir("/proc/self/fd")
        for start in (lambda: pid_1.spawn(["true"], env={}, capture=True),
                      lambda: pid_1.fork(bytes, capture=True)):
            try:
                start()
            except OSError:
                print("refused", os.listdir("/proc/self/fd") == before)
    """
    # In a PID namespace whose first process has ended, fork(2) fails.
    shell = 'true & wait; exec "$@"'
    command = ["unshare", "--pid", "sh", "-c", shell, "sh", sys.executable, "-c", script]
    assert subprocess.check_output(command, text=True) == "refused True\n" * 2


@alone
def test_nothing_is_leaked() -> None:
    """A child that was closed leaves no descriptor."""
    pid_1 = Init()
    before = descriptors()
    for started in (
        pid_1.spawn(["true"], env=ENV, capture=True),
        pid_1.fork(lambda: b"answer", capture=True),
    ):
        pid_1.wait(started)
        started.close()
        started.close()
    assert descriptors() == before


@pytest.mark.parametrize("closed", [(0,), (1,), (2,), (0, 1), (1, 2), (0, 1, 2)], ids=str)
@alone
def test_capture_with_closed_streams(closed: tuple[int, ...]) -> None:
    """Output is captured and stdin empty, even if PID 1's own streams are closed."""
    for descriptor in closed:
        os.close(descriptor)
    pid_1 = Init()
    command = ["sh", "-c", "cat && echo out && echo err >&2"]
    spawned = pid_1.spawn(command, env=ENV, capture=True)
    forked = pid_1.fork(lambda: child_module.become(command, env=ENV, cwd="/"), capture=True)
    assert (pid_1.wait(spawned), spawned.output()) == (0, "out\nerr\n")
    assert (pid_1.wait(forked), forked.output()) == (0, "out\nerr\n")


@alone
def test_fork_answers() -> None:
    """The answer is what the function returns; its output is kept apart."""

    def answer() -> bytes:
        sys.stdout.write("word\n")  # buffered
        return b"\0answer"

    pid_1 = Init()
    child = pid_1.fork(answer, capture=True)
    assert pid_1.wait(child) == 0
    assert (child.answer(), child.output()) == (b"\0answer", "word\n")


@alone
def test_fork_that_fails() -> None:
    """An exception is a traceback and 70, and never reaches the code of the caller."""
    pid_1 = Init()
    child = pid_1.fork(lambda: bytes(1 // 0), capture=True)
    assert pid_1.wait(child) == 70
    assert child.answer() == b""
    assert "ZeroDivisionError" in child.output()


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@alone
def test_a_forked_function_ends_by_signals(signum: int) -> None:
    """A signal ends a forked function at once and without a traceback."""
    pid_1 = Init()
    for _ in range(20):  # sometimes before the setsid of the child, sometimes after
        child = pid_1.fork(sleep_forever, capture=True)
        pid_1.signal_group(child, signum)
        assert pid_1.wait(child, within(LONG)) == 128 + signum
        assert child.output() == ""


@alone
def test_a_forked_function_survives_a_broken_pipe() -> None:
    """A broken pipe is an exception in Python code."""

    def write() -> bytes:
        reading, writing = os.pipe()
        os.close(reading)
        try:
            os.write(writing, b"x")
        except BrokenPipeError:
            return b"broken"
        return b""

    pid_1 = Init()
    child = pid_1.fork(write)
    assert pid_1.wait(child) == 0
    assert child.answer() == b"broken"


@alone
def test_end_kills_a_child_that_has_just_been_forked() -> None:
    """After `end` the child is gone, however early it came."""
    pid_1 = Init()
    for _ in range(50):
        child = pid_1.fork(sleep_forever)
        pid_1.end(child)
        assert child.outcome == 137


@alone
def test_end_reaches_the_group() -> None:
    """The whole process group of the child ends."""
    pid_1 = Init()
    child = pid_1.spawn(["sh", "-c", "sleep 60 & echo started; wait"], env=ENV, capture=True)
    pid_1.wait_for(lambda: "started" in child.output(), within(LONG), poll=0.01)
    pid_1.end(child)
    assert child.outcome == 137
    assert pid_1.wait_for(pid_1.alone, within(LONG))


@alone
def test_wait_ends_at_the_deadline() -> None:
    """At the deadline the result is None, and the child can be waited for again."""
    pid_1 = Init()
    child = pid_1.spawn(["sleep", "60"], env=ENV)
    assert pid_1.wait(child, within(SOON)) is None
    assert pid_1.wait(child, within(-1)) is None
    pid_1.end(child)
    assert pid_1.wait(child, within(-1)) == 137


@alone
def test_a_stop_is_raised_once() -> None:
    """The first stop is raised; the next ones are only kept."""
    pid_1 = Init()
    child = pid_1.spawn(["sleep", "60"], env=ENV)
    for signum in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        stop_from_outside(signum)
    with pytest.raises(Stopped, match="SIGINT"):  # pending signals come lowest number first
        pid_1.wait(child)
    assert pid_1.wait(child, within(SOON)) is None
    assert pid_1.stop.signals == [signal.SIGINT, signal.SIGTERM]
    pid_1.end(child)


def stop_from_outside(signum: int) -> None:
    """Have another process send a signal: one from this process itself is no stop."""
    subprocess.run(["sh", "-c", f"kill -{int(signum)} {os.getpid()}"], check=True)


@alone
def test_our_own_signals_are_none() -> None:
    """A signal of this process to itself, as by a write to a broken pipe, is no event."""
    pid_1 = Init()
    os.kill(os.getpid(), signal.SIGTERM)
    assert pid_1.wait(pid_1.spawn(["true"], env=ENV)) == 0
    assert pid_1.stop.signals == []


@alone
def test_a_second_stop_hurries() -> None:
    """With `hurry` a second stop acts as the deadline does."""
    pid_1 = Init()
    pid_1.begin_cleanup()
    child = pid_1.spawn(["sleep", "60"], env=ENV)
    stop_from_outside(signal.SIGTERM)
    assert pid_1.wait(child, within(SOON), hurry=True) is None
    stop_from_outside(signal.SIGTERM)
    assert pid_1.wait(child, hurry=True) is None
    assert pid_1.stop.signals == [signal.SIGTERM] * 2


def flood(pid: int) -> NoReturn:
    """Send a signal with a low number again and again."""
    while True:
        os.kill(pid, signal.SIGHUP)


@alone
def test_a_flood_of_signals_hides_nothing() -> None:
    """Ends of children and deadlines are noticed while signals come without end."""
    pid_1 = Init()
    flooding = pid_1.fork(functools.partial(flood, os.getpid()))
    assert pid_1.wait(pid_1.spawn(["sh", "-c", "exit 3"], env=ENV), within(LONG)) == 3
    assert pid_1.wait(flooding, within(SOON)) is None
    pid_1.end(flooding)
    assert flooding.outcome == 137


@alone
def test_become_keeps_the_pid_and_clears_the_rest() -> None:
    """A function that becomes a program keeps its pid; stdin is empty, signals are usual."""
    pid_1 = Init()
    script = "echo $$; cat; grep -E 'Sig(Blk|Ign)' /proc/self/status"
    command = ["bash", "-c", script]
    child = pid_1.fork(lambda: child_module.become(command, env=ENV, cwd="/"), capture=True)
    assert pid_1.wait(child) == 0
    pid, *signals = child.output().splitlines()
    assert int(pid) == child.pid
    glibc = 0b11 << 31  # glibc keeps signals 32 and 33 for itself
    assert [int(line.split()[1], 16) & ~glibc for line in signals] == [0, 0]


@alone
def test_sweep_ends_who_is_left() -> None:
    """A sweep reaches grandchildren and other sessions, and gives them time to clean up."""
    pid_1 = Init()
    script = "trap 'echo cleaned up; exit' TERM; echo ready; while :; do sleep 0.01; done"
    command = ["sh", "-c", 'setsid sh -c "$0" & wait', script]
    child = pid_1.spawn(command, env=ENV, capture=True)
    pid_1.wait_for(lambda: "ready" in child.output(), within(LONG), poll=0.01)
    pid_1.sweep(LONG)
    assert pid_1.alone()
    assert "cleaned up" in child.output()


@alone
def test_sweep_kills_after_the_grace() -> None:
    """A process that ignores SIGTERM is killed after the grace."""
    pid_1 = Init()
    child = pid_1.spawn(["sh", "-c", "trap '' TERM; echo ready; sleep 60"], env=ENV, capture=True)
    pid_1.wait_for(lambda: "ready" in child.output(), within(LONG), poll=0.01)
    pid_1.sweep(SOON)
    assert child.outcome == 137
    assert pid_1.alone()


@alone
def test_a_second_stop_shortens_the_grace() -> None:
    """A second stop ends the grace."""
    pid_1 = Init()
    pid_1.begin_cleanup()
    child = pid_1.spawn(["sh", "-c", "trap '' TERM; echo ready; sleep 60"], env=ENV, capture=True)
    pid_1.wait_for(lambda: "ready" in child.output(), within(LONG), poll=0.01)
    for _ in range(2):
        stop_from_outside(signal.SIGTERM)
        pid_1.wait_for(lambda: False, within(0))
    pid_1.sweep(2 * LONG)
    assert child.outcome == 137


@alone
def test_sweep_leaves_others_alone() -> None:
    """A process that is not PID 1 ends its own descendants only."""
    sibling = os.fork()
    if sibling == 0:
        pid_1 = Init()
        pid_1.spawn(["sleep", "60"], env=ENV)
        pid_1.sweep(LONG)
        os._exit(0 if pid_1.alone() else 1)
    stranger = subprocess.Popen(["sleep", "60"])
    assert exit_code(os.waitpid(sibling, 0)[1]) == 0
    assert stranger.poll() is None
    stranger.kill()


@alone
def test_freezing_is_for_pid_1_only() -> None:
    """A process that is not PID 1 stops no others, since they are not its own."""
    pid_1 = Init()
    stranger = subprocess.Popen(["sleep", "60"])
    pid_1.freeze()
    with open(f"/proc/{stranger.pid}/stat", encoding="ascii") as stat:
        assert stat.read().split()[2] != "T"
    pid_1.thaw()
    stranger.kill()


@alone
def test_kill_tells_whether_somebody_is_there() -> None:
    """A process that has ended, or may not be signalled, is no error."""
    child = subprocess.Popen(["true"])
    child.wait()
    assert not signals.kill(child.pid)
    os.setuid(65534)
    assert signals.kill(os.getppid(), 0)


@alone
def test_suspend_does_not_miss_a_wake_up() -> None:
    """A SIGCONT that came before prevents the stop, which nothing would end."""
    pid_1 = Init()
    stop_from_outside(signal.SIGCONT)
    pid_1.suspend()


@alone
def test_forbid_dumps() -> None:
    """Afterwards the kernel shows memory and environment to root only."""
    pid1.forbid_dumps()
    get_dumpable = 3
    assert ctypes.CDLL(None).prctl(get_dumpable, 0, 0, 0, 0) == 0


@alone
def test_descendants_of_another_namespace_are_none_of_ours() -> None:
    """If /proc shows the pids of another namespace, no process counts as a descendant."""
    script = "from entrypoint.init.processes import descendants; print(descendants())"
    command = ["unshare", "--pid", "--fork", sys.executable, "-c", script]
    assert subprocess.check_output(command, text=True) == "set()\n"
    child = subprocess.Popen(["sleep", "60"])
    assert child.pid in processes.descendants()
    child.kill()
