"""Many runners on one host, and on one credential: `make fleet`; docs/fleet.md has the formulas.

GitHub is the simulator, and the runner's programs start without delay, so that the numbers are
those of gh-runner.
"""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from bench.container import APP, OURS, TOKEN, app_key, field
from bench.report import header, percentile
from simulator import Simulator
from simulator.container import NAMESPACE, PROGRAM, USER, Container, children, comm
from simulator.distribution import VERSION

SCOPE = "https://github.com/acme/shop"
SIDE_BY_SIDE = 50
HERD = 200
IDLE = 20.0  # seconds
START_SECONDS = 300.0  # many starts at once take long on two processors
TEMPORARY = 75  # an engine starts the container again after this exit code
FIRST_PAUSE = 5.0  # seconds; the first pause of deploy/systemd/gh-runner-instance
TICKS = os.sysconf("SC_CLK_TCK")
MODES = {
    "config, token": {},
    "config, App": {"GITHUB_APP_INSTALLATION_ID": "42"},
    "config, App, installation looked for": {},
    "jit, token": {"RUNNER_REGISTRATION": "jit"},
    "jit, App": {"RUNNER_REGISTRATION": "jit", "GITHUB_APP_INSTALLATION_ID": "42"},
    "jit, App, installation looked for": {"RUNNER_REGISTRATION": "jit"},
}


class Lives:
    """Runners side by side on one simulator; all end with the context."""

    def __init__(
        self,
        simulator: Simulator,
        directory: Path,
        program: Sequence[str] = PROGRAM,
        **settings: str,
    ) -> None:
        """Choose the place of their files, and the program and the settings of all of them."""
        self._simulator, self._program = simulator, program
        self._directory = directory
        self.settings = settings
        self._exits = ExitStack()
        self._numbers = 0

    def __enter__(self) -> Lives:
        """Begin without runners."""
        return self

    def __exit__(self, *_: object) -> None:
        """Kill all runners."""
        self._exits.close()

    def prepare(self, number: int) -> list[Path]:
        """Write the runner's programs, which an image would have, into a home for each runner."""
        first = self._numbers
        self._numbers += number
        homes = [self._directory / f"runner-{n}" for n in range(first, self._numbers)]
        for home in homes:
            self._simulator.make_distribution(home, owner=USER)
        return homes

    def log(self, home: Path) -> str:
        """Return the log of all lives in this home."""
        return (self._directory / f"{home.name}.log").read_text()

    def start(self, home: Path) -> Container:
        """Start a runner in its home."""
        environment = {
            "PATH": os.environ["PATH"],
            "GITHUB_URL": SCOPE,
            "GITHUB_API_URL": self._simulator.url,
            "GITHUB_PERSONAL_TOKEN": TOKEN,
            "RUNNER_NAME": home.name,
            "RUNNER_USER": USER,
            "RUNNER_HOME": str(home),
            "RUNNER_STATE_DIR": f"{home}-state",
            "RUNNER_VERSION": VERSION,
            "RUNNER_STOP_TIMEOUT": "120",  # all of them at once, on few processors
            **self.settings,
        }
        given = {name: value for name, value in environment.items() if value}
        output = (self._directory / f"{home.name}.log").open("ab")
        streams = {"stdout": output, "stderr": subprocess.STDOUT}
        container = Container(self._program, env=given, namespace=NAMESPACE, **streams)
        output.close()
        self._exits.callback(container.end)
        return container


@contextmanager
def lives(
    simulator: Simulator, program: Sequence[str] = PROGRAM, **settings: str
) -> Iterator[Lives]:
    """Lives whose files are deleted with the context."""
    simulator.reset()
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        with Lives(simulator, Path(name), program, **settings) as made:
            yield made


def listening(simulator: Simulator, number: int, after: int = 0) -> float:
    """Wait until this number of runners listens; return the time when the last one began."""
    for _ in range(number):
        event = simulator.wait_for("listening", after=after, timeout=START_SECONDS)
        after = event["id"]
    return float(event["time"])


def tree(pid: int) -> list[int]:
    """Return a process and all its descendants."""
    return [pid, *(found for child in children(pid) for found in tree(child))]


def processor(pid: int) -> float:
    """Return the seconds of processor time of a process and of the children it has reaped."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return sum(map(int, fields[11:15])) / TICKS


def python_start(times: int = 20) -> float:
    """Return the seconds of processor time in which Python starts and ends: a reference."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    for _ in range(times):
        subprocess.run([sys.executable, "-I", "-c", "pass"], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) / times


def side_by_side(simulator: Simulator, number: int, registration: str) -> None:
    """Print what this number of idle runners costs, and how fast they start."""
    with lives(simulator, RUNNER_REGISTRATION=registration) as made:
        homes = made.prepare(number)
        begin = time.time()
        containers = [made.start(home) for home in homes]
        seconds = listening(simulator, number) - begin
        time.sleep(1)  # all of them are idle then
        firsts = [container.pid_1 for container in containers]
        spent = [processor(pid) for pid in firsts]
        size = Counter[str]()
        for pid in (found for first in firsts for found in tree(first)):
            kind = OURS if pid in firsts else "shells" if "run" in comm(pid) else "listener"
            size[kind] += field(pid, "smaps_rollup", "Pss")
        before = sum(processor(pid) for pid in firsts)
        time.sleep(IDLE)
        idle = sum(processor(pid) for pid in firsts) - before
        kib = {kind: size[kind] / number for kind in (OURS, "shells")}
        row(
            f"{number} side by side, {registration}",
            f"{kib[OURS] / 1024:.1f} MiB",
            f"{kib['shells'] / 1024:.1f} MiB",
            f"{sum(spent) / number:.2f} s",
            f"{idle / number / IDLE * 100:.3f} %",
            f"{number / seconds:.1f} /s",
        )
        for container in containers:
            container.signal()
        for container in containers:
            container.wait(START_SECONDS)
        assert simulator.runners() == []


def calls(simulator: Simulator, mode: str, *, stop: bool) -> Counter[str]:
    """Return by method how many requests of one life count for its credential."""
    simulator.reset()
    settings = dict(MODES[mode])
    with ExitStack() as exits:
        directory = Path(exits.enter_context(tempfile.TemporaryDirectory()))
        directory.chmod(0o755)
        if "App" in mode:
            key = directory / "key.pem"
            key.touch(mode=0o600)
            key.write_text(app_key(simulator))
            settings |= {"GITHUB_APP_ID": str(APP), "GITHUB_APP_PRIVATE_KEY_FILE": str(key)}
            settings["GITHUB_PERSONAL_TOKEN"] = ""
        made = exits.enter_context(Lives(simulator, directory, **settings))
        container = made.start(made.prepare(1)[0])
        listening(simulator, 1)
        simulator.wait_for("answer", path="/deprecations/")  # sent in parallel to the others
        if stop:
            container.signal(signal.SIGTERM)
        else:
            simulator.queue_job()
        assert container.wait(START_SECONDS) in {0, 143}
    # GitHub's own programs use other tokens, which have limits of their own.
    own = ("/_services/", "/actions/runner-registration", "/actions/runners/register")
    counted = [r for r in simulator.requests() if not r["path"].startswith(own)]
    return Counter(r["method"] for r in counted if r["scheme"] != "remoteauth")


def herd(simulator: Simulator, number: int) -> None:
    """Print how this number of starts within a second gets through GitHub's secondary limits."""
    with lives(simulator, RUNNER_REGISTRATION="jit") as made:
        waiting = dict.fromkeys(made.prepare(number), 0.0)
        begin = time.time()
        living: dict[Path, Container] = {}
        ends: Counter[int] = Counter()
        while waiting or len(listed(simulator)) < number:
            assert time.time() - begin < START_SECONDS, f"{len(listed(simulator))} of {number}"
            for home in [home for home, due in waiting.items() if due <= time.time() - begin]:
                living[home] = made.start(home)
                del waiting[home]
            for home, container in list(living.items()):
                if (code := container.exit_code) is not None:
                    ends[code] += 1
                    assert code == TEMPORARY, f"{code}: {made.log(home)}"
                    waiting[home] = time.time() - begin + FIRST_PAUSE
                    del living[home]
            time.sleep(0.2)
        times = sorted(e["time"] - begin for e in simulator.events() if e["kind"] == "listening")
        refused = sum(request["status"] in {403, 429} for request in simulator.requests())
        print(
            f"{number} starts at once: half of them listened after {percentile(times, 50):.0f} s,"
            f" nine of ten after {percentile(times, 90):.0f} s, all after {times[-1]:.0f} s;"
            f" {refused} requests were refused, {ends[TEMPORARY]} lives ended with {TEMPORARY}"
            " and were started again."
        )


def listed(simulator: Simulator) -> list[str]:
    """Return the names of the runners that are online."""
    return [r["name"] for r in simulator.runners() if r["status"] == "online"]


def row(*columns: str) -> None:
    """Print one line of a table."""
    print(f"| {columns[0]:<40} | " + " | ".join(f"{column:>12}" for column in columns[1:]) + " |")


def head(*columns: str) -> None:
    """Print the first two lines of a table."""
    row(*columns)
    print(f"|{'-' * 42}|" + "|".join("-" * 13 + ":" for _ in columns[1:]) + "|")


def run() -> None:
    """Print all tables."""
    # Each life has a log and a process here, and so open files.
    resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
    with Simulator() as simulator:
        simulator.settings(points_per_minute=0, concurrent_requests=0)
        header("A fleet on one host: our share of each runner")
        head("lives", "PID 1", "its shells", "a start", "idle", "starts")
        for registration in ("config", "jit"):
            side_by_side(simulator, SIDE_BY_SIDE, registration)
        print(f"\nFor comparison: Python starts in {python_start():.3f} s of processor time here.")
        header("Requests of one life that count for its credential")
        head("mode", "GET", "POST", "DELETE", "points", "stopped: all")
        for mode in MODES:
            job, stopped = calls(simulator, mode, stop=False), calls(simulator, mode, stop=True)
            points = job["GET"] + 5 * (job.total() - job["GET"])
            row(mode, *(str(job[m]) for m in ("GET", "POST", "DELETE")), str(points),
                str(stopped.total()))  # fmt: skip
        header("A herd, with GitHub's secondary limits (900 points a minute, 100 at once)")
        simulator.reset()
        simulator.settings(points_per_minute=900, concurrent_requests=100)
        herd(simulator, HERD)


def main(words: Sequence[str]) -> int:
    """Print all tables; `python -m bench.fleet 5` has 5 lives in place of the usual numbers."""
    global SIDE_BY_SIDE, HERD  # noqa: PLW0603
    if words:
        SIDE_BY_SIDE = HERD = int(words[0])
    run()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
