"""`python -m demo`, which `make demo` calls; it exits with 1 if a promise was not kept."""

import argparse
import os
import shutil
import sys
import tempfile
from pathlib import Path

from demo import pictures
from demo.container import namespace, runner_user
from demo.envfile import SAMPLE, fill
from demo.play import Act, Play
from demo.promises import check
from demo.stage import Stage
from simulator.client import Simulator
from simulator.container import PROGRAM

TOKEN = "ghp_simulator"


def main() -> int:
    """Play the act that the command line, or a variable of make, asks for."""
    act = _act()
    stage = Stage()
    directory = Path(tempfile.mkdtemp(prefix="gh-runner-demo-"))
    directory.chmod(0o755)  # the runner's user must be able to enter
    try:
        with Simulator() as simulator:
            _introduce(stage, simulator, act)
            return _play(stage, simulator, act, directory)
    except KeyboardInterrupt:
        stage.say("interrupted")
        return 130
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _act() -> Act:
    parser = argparse.ArgumentParser(prog="python -m demo", description=__doc__)
    stop = os.environ.get("STOP", "").upper().removeprefix("SIG")
    parser.add_argument("--stop", choices=["", "TERM", "INT"], default=stop)
    parser.add_argument("--when", choices=["idle", "job"], default=os.environ.get("WHEN", "job"))
    options = parser.parse_args()
    if options.stop not in ("", "TERM", "INT") or options.when not in ("idle", "job"):
        parser.error("STOP is TERM or INT, WHEN is idle or job")
    return Act(options.stop, options.when == "job")


def _introduce(stage: Stage, simulator: Simulator, act: Act) -> None:
    own = namespace()
    stage.heading("gh-runner: the whole life of a runner, on this machine")
    stage.say(f"GitHub     a simulator, {simulator.url}")
    stage.say(f"runner     a stand-in with the real one's programs and times, user {runner_user()}")
    if own:
        stage.say(f"container  {' '.join(own)}")
    else:
        stage.say(
            "container  none: a PID namespace (unshare) is not allowed here. The program runs as"
            " a child subreaper instead of as PID 1",
            "bold yellow",
        )
    stage.say(f"PID 1      {' '.join(PROGRAM)}")
    where = "in the middle of a job" if act.in_job else "while the runner is idle"
    stage.say(f"story      {f'SIG{act.stop} {where}' if act.stop else 'one job, to its end'}")


def _play(stage: Stage, simulator: Simulator, act: Act, directory: Path) -> int:
    home = simulator.make_distribution(directory / "runner", scale=1, owner=runner_user())
    env_file = _write_env_file(simulator, directory, home)
    stage.say(f"settings   {env_file}, a copy of {SAMPLE.name} with the simulator's values")
    stage.heading("Timeline")
    stage.runners("before", simulator.runners())
    play = Play(simulator, stage, act, env_file)
    code = play.run(directory / "output")
    left = simulator.runners()
    stage.runners("after", left)
    stage.heading("Phases")
    stage.bars(play.story.phases(play.story.marks["ended"]))
    if os.environ.get("PICTURES"):
        pictures.draw(play.story.phases(play.story.marks["ended"]))
    stage.heading("Promises")
    promises = list(check(act, play, code, simulator.requests(), len(left)))
    for promise in promises:
        stage.promise(*promise)
    return 0 if all(promise.kept for promise in promises) else 1


def _write_env_file(simulator: Simulator, directory: Path, home: Path) -> Path:
    folder = directory / "env"
    folder.mkdir(mode=0o700)
    values = {
        "GITHUB_OWNER": "acme",
        "GITHUB_REPOSITORY": "shop",
        "GITHUB_PERSONAL_TOKEN": TOKEN,
        "GITHUB_API_URL": simulator.url,
        "RUNNER_NAME": "demo",
        "RUNNER_LOG_FORMAT": "json",  # the demo sorts all lines by the times in these
        "RUNNER_USER": runner_user(),
        "RUNNER_HOME": str(home),
    }
    path = folder / ".env"
    path.write_text(fill(SAMPLE.read_text(), values))
    return path


if __name__ == "__main__":
    sys.exit(main())
