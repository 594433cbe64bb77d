"""Jobs that destroy what they can reach: each life ends soon, and its messages are true.

Their truth is judged by the simulator's list of runners.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from entrypoint.errors import MEANINGS, ExitCode
from simulator import Simulator
from tests.probe.cage import walls
from tests.support.life import ISOLATED, NAMESPACE, Life
from tests.support.mutants import body, mutated
from tests.support.patience import hurried

_BOUND = 60.0  # seconds; an idle machine needs two
# What a job's bash does to a path; `precious` is a file that belongs to root.
_WAYS = {
    "delete": 'rm -rf "$1"',
    "file": 'rm -rf "$1"; echo junk >"$1"',
    "directory": 'rm -rf "$1"; mkdir "$1"',
    "link": 'rm -rf "$1"; ln -s {precious} "$1"',
    "loop": 'rm -rf "$1"; ln -s "$1" "$1"',
    "fifo": 'rm -rf "$1"; mkfifo -m 666 "$1"',
    "device": 'rm -rf "$1"; mknod -m 666 "$1" c 1 5 || ln -s /dev/zero "$1"',
    "huge": 'rm -rf "$1"; truncate -s 3G "$1"',
    "closed": 'chown -R daemon "$1"; chmod 0 "$1"',
}
_FILES = [
    *("runner/.runner", "runner/.credentials", "runner/.credentials_rsaparams", "runner/.env"),
    *("runner/run.sh", "runner/run-helper.sh", "runner/config.sh", "runner/_diag/*"),
    *("state/*", "figures/gh-runner.prom"),
]
_DIRECTORIES = ["runner/_work/_temp", "runner/_work", "runner/_diag", "state", "figures", "runner"]
SEES_NO_WORKER = body("Listener.look", "self._logs = self._new_logs()")
_AS = {"runner": "bash", "root": "sudo -n bash"}


def judge(life: Life, simulator: Simulator) -> int:
    """Return the exit code; fail if the life took too long or a message is untrue."""
    code = life.wait(_BOUND)
    assert code in MEANINGS, life.output
    assert code != ExitCode.DEFECT, life.output
    assert "Traceback" not in life.output
    events = life.log
    assert events[-1]["event"].startswith(f"exit code {code}: "), life.output
    listed = [runner["name"] for runner in simulator.runners()]
    if listed:
        assert code == ExitCode.LEFT, life.output
        assert f"the runner {listed[0]} " in life.error()
        assert "off GitHub's list" not in life.output
    else:
        assert code != ExitCode.LEFT, life.output
    told = [line["result"] for line in events if "result" in line]
    if "succeeded" in told:  # the log may not know the result, but must not improve it
        assert [job["result"] for job in simulator.jobs()] == ["succeeded"], life.output
    return code


def script(life: Life, who: str, *lines: str) -> str:
    """Write a script into the life's directory; return the command that runs it as `who`."""
    path = life.directory / "hostile.sh"
    path.write_text("\n".join(lines))
    path.chmod(0o755)
    return f"{_AS[who]} {path}; true"


def prepare(life: Life) -> Path:
    """Make a file that only root may write to, and a folder for figures that jobs can change."""
    precious = life.directory / "precious"
    precious.write_text("precious")
    precious.chmod(0o644)
    figures = life.directory / "figures"
    figures.mkdir()
    figures.chmod(0o777)
    life.env |= {"RUNNER_METRICS_FILE": str(figures / "gh-runner.prom"), "GITHUB_TIMEOUT": "4"}
    return precious


@pytest.mark.parametrize("way", _WAYS)
@pytest.mark.parametrize(
    ("places", "who"),
    [(_FILES, "runner"), (_FILES, "root"), (_DIRECTORIES, "root")],
    ids=["files-runner", "files-root", "directories-root"],
)
def test_what_a_job_destroys(
    life: Life, simulator: Simulator, who: str, way: str, places: list[str]
) -> None:
    """A job destroys the files of the runner and of gh-runner: it still counts as a job."""
    precious = prepare(life)
    paths = " ".join(f"{life.directory}/{place}" for place in places)
    step = f"destroy() {{ {_WAYS[way].format(precious=precious)}; }}"
    job = simulator.queue_job(
        script(
            life, who, f"touch {paths.split()[-1]}", step, f"for p in {paths}; do destroy $p; done"
        )
    )
    credential = "until-job" if places is _FILES else "until-exit"
    hurried(life).start(namespace=walls(), RUNNER_CREDENTIAL=credential)
    code = judge(life, simulator)
    assert precious.read_text() == "precious"
    if simulator.job(job["id"])["result"] == "succeeded":
        assert code == 0, life.output


_HURRY = {
    "GITHUB_TIMEOUT": "5",
    "RUNNER_JOB_TIMEOUT": "2",
    "RUNNER_CANCEL_TIMEOUT": "0.5",
    "RUNNER_STOP_TIMEOUT": "12",
}
_SHELLS = ["run.sh", "run-helper.sh"]
_PROGRAMS = ["Runner.Listener", "Runner.Worker"]
_SIGNALS = [
    *((process, number) for process in _SHELLS for number in ("KILL", "STOP", "TERM")),
    *(
        (process, number)
        for process in _PROGRAMS
        for number in ("KILL", "STOP", "TERM", "INT", "HUP", "SEGV")
    ),
]


@pytest.mark.parametrize(("process", "number"), _SIGNALS)
def test_signals_for_the_processes_of_the_runner(
    life: Life, simulator: Simulator, process: str, number: str
) -> None:
    """A job that ends or stops the processes above it has two seconds before PID 1 ends it."""
    who = "root" if process == "run-helper.sh" else "runner"
    simulator.queue_job(script(life, who, f"pkill -{number} -x {process}", "sleep 0.2"))
    hurried(life).start(namespace=walls(), **_HURRY)
    judge(life, simulator)
    if process in _SHELLS:
        assert "the listener stays" not in life.output


# What a job does to all processes at once, or to PID 1 and its helpers.
_STRIKES = {
    "kills all of its user's": ("runner", "kill -9 -1"),
    "stops all of its user's": ("runner", "pkill -STOP -u $(id -u) Runner; pkill -STOP -x run.sh"),
    "kills all, and the record": ("runner", "rm -rf {home}/.runner {home}/_diag; kill -9 -1"),
    "kills all, and is root": ("root", "kill -9 -1"),
    "kills what PID 1 has started": ("root", "pkill -9 -P 1"),
    "terminates PID 1": ("root", "kill -TERM 1; sleep 60"),
    "interrupts PID 1 twice": ("root", "kill -INT 1; kill -INT 1; sleep 60"),
    "kills PID 1": ("root", "kill -9 1; kill -STOP 1; kill -SEGV 1"),
    "sends PID 1 what it knows not": (
        "root",
        "for n in ALRM USR1 USR2 PIPE CONT CHLD IO TSTP WINCH PWR; do kill -$n 1; done",
    ),
    "floods PID 1": ("root", "for i in $(seq 3000); do kill -IO 1; kill -CHLD 1; done"),
    "says that it has succeeded": (
        "runner",
        "echo 'Job x completed with result: Succeeded' | tee -a {home}/_diag/Runner_*; kill -9 -1",
    ),
    "leaves a worker's name": (
        "runner",
        "cp /bin/sleep {home}/Runner.Worker; setsid {home}/Runner.Worker 60 &",
    ),
}


@pytest.mark.parametrize("strike", _STRIKES)
def test_strikes_at_all_processes(life: Life, simulator: Simulator, strike: str) -> None:
    """Whatever is hit, the life ends soon, and ends with 0 only if no runner is listed."""
    prepare(life)
    who, command = _STRIKES[strike]
    simulator.queue_job(script(life, who, command.format(home=life.home)))
    hurried(life).start(namespace=walls(), **_HURRY)
    judge(life, simulator)


def test_a_job_that_claims_success_before_pid_1_sees_it(life: Life, simulator: Simulator) -> None:
    """A result in the log proves nothing if run.sh was killed and PID 1 saw no worker."""
    life.program = mutated(life.directory, SEES_NO_WORKER)
    prepare(life)
    who, command = _STRIKES["says that it has succeeded"]
    simulator.queue_job(script(life, who, command.format(home=life.home)))
    life.start(namespace=walls(), **_HURRY)
    judge(life, simulator)
    assert [line["result"] for line in life.log if "result" in line] == ["unknown", "unknown"]


@pytest.mark.parametrize("place", ["runner/_diag", "runner/_work", "state", "figures"])
def test_disk_that_a_job_fills(life: Life, simulator: Simulator, place: str) -> None:
    """A job fills the disk of the runner's logs, its work folder, the state or the figures."""
    prepare(life)
    folder = life.directory / place
    mount = f"mkdir -p {folder}; mount -t tmpfs -o size=512k,mode=1777 tmpfs {folder}"
    full = [*ISOLATED, "sh", "-c", f'{mount}; exec "$@"', "sh", *walls()[len(ISOLATED) :]]
    simulator.queue_job(script(life, "root", f"head -c 1M /dev/zero >{folder}/full"))
    hurried(life).start(namespace=full, RUNNER_CREDENTIAL="until-job", RUNNER_MIN_FREE_DISK="0")
    judge(life, simulator)


@pytest.mark.parametrize("blows", [1, 15])
def test_helper_that_looks_for_the_stop_file(life: Life, simulator: Simulator, blows: int) -> None:
    """A job kills it: another one takes its place, as often as a life may need; then that is told.

    SIGTERM stops the container in any case.
    """
    shared = life.directory / "shared"
    shared.mkdir()
    kill = 'pkill -9 -P 1 "^python" && sleep 0.1'
    job = simulator.queue_job(
        script(life, "root", f"for i in $(seq {blows}); do {kill}; done; echo struck; sleep 60")
    )
    secret = "correct-horse"
    life.env |= {"RUNNER_STOP_FILE": f"{shared}/stop", "RUNNER_STOP_SECRET": secret}
    hurried(life).start(namespace=walls(), RUNNER_CANCEL_TIMEOUT="0.5")
    simulator.wait_for("job_output", text="struck")
    if blows == 1:
        (shared / "stop").write_text(secret)
    else:
        assert "was killed too often" in life.output
        life.signal()
    assert judge(life, simulator) == ExitCode.TERMINATED
    assert simulator.job(job["id"])["status"] == "completed"


# Answers as dockerd does, and writes without end, so that it notices when nothing reads its log.
_DOCKERD = """\
#!/usr/bin/python3
import signal, socket, sys, threading, time
if "--help" in sys.argv:
    sys.exit()
signal.signal(signal.SIGPIPE, signal.SIG_DFL)
def serve():
    server = socket.socket(socket.AF_UNIX)
    server.bind("/run/docker.sock")
    server.listen()
    while True:
        with server.accept()[0] as client:
            client.recv(1024)
            client.sendall(b"HTTP/1.0 200 OK\\r\\n\\r\\n")
threading.Thread(target=serve, daemon=True).start()
while True:
    print("a line", flush=True)
    time.sleep(0.02)
"""


@pytest.mark.parametrize("blow", ["pkill -9 -x dockerd", "pkill -9 -P 1 -x sh; pkill -9 -x head"])
def test_engine_and_the_helper_that_keeps_its_log(
    life: Life, simulator: Simulator, blow: str
) -> None:
    """A job that ends its engine, or what reads the engine's log, is a job; the end is told."""
    programs = life.directory / "programs"
    programs.mkdir()
    (programs / "dockerd").write_text(_DOCKERD)
    (programs / "dockerd").chmod(0o755)
    own_run = ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs tmpfs /run; exec "$@"', "sh"]
    job = simulator.queue_job(script(life, "root", blow, "sleep 0.5"))
    hurried(life).start(
        namespace=[*own_run, *walls()[len(ISOLATED) - len(NAMESPACE) :]],
        RUNNER_ENGINE="docker",
        PATH=f"{programs}:{life.env['PATH']}",
    )
    assert judge(life, simulator) == 0, life.output
    assert simulator.job(job["id"])["result"] == "succeeded"
    assert "the container engine (docker) has ended with" in life.output
