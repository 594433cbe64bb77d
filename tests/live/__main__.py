"""`python -m tests.live IMAGE` runs the scenarios on github.com, with containers of that image.

Environment: LIVE_TOKEN (may administer the repository's runners), GITHUB_TOKEN (may start
workflows), GITHUB_REPOSITORY, GITHUB_REF_NAME, GITHUB_API_URL, GITHUB_SERVER_URL, GITHUB_RUN_ID,
GITHUB_RUN_ATTEMPT; all but the first are there in a workflow.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.image.engine import ROOT, Engine
from tests.live import scenarios
from tests.live.github import from_environment
from tests.live.scenarios import Stage


def main(image: str) -> int:
    """Run all scenarios; return 0 if each of them held."""
    program = subprocess.check_output([ROOT / "scripts/docker-engine"], text=True).strip()
    docker = Engine(program)
    wanted = [scenarios.job, scenarios.idle, scenarios.endless]
    options = []
    if '"sysbox-runc"' in docker("info", "--format", "{{json .Runtimes}}"):
        options = ["--runtime", "sysbox-runc"]
        wanted.append(scenarios.engine)
    failed = 0
    with tempfile.TemporaryDirectory() as directory:
        options += ["--env-file", _env_file(Path(directory)), image]
        stage = Stage(from_environment(), docker, options, _name())
        for scenario in wanted:
            failed += not _held(scenario.__name__, scenario, stage)
    return 1 if failed else 0


def _held(name: str, scenario: scenarios.Scenario, stage: Stage) -> bool:
    try:
        scenario(stage)
    except AssertionError as error:
        sys.stdout.write(f"FAILED {name}: {error}\n")
        return False
    sys.stdout.write(f"passed {name}\n")
    return True


def _name() -> str:
    return f"live-{os.environ['GITHUB_RUN_ID']}-{os.environ['GITHUB_RUN_ATTEMPT']}"


def _env_file(directory: Path) -> str:
    path = directory / ".env"
    path.touch(mode=0o600)
    url = f"{os.environ['GITHUB_SERVER_URL']}/{os.environ['GITHUB_REPOSITORY']}"
    path.write_text(f"GITHUB_URL={url}\nGITHUB_PERSONAL_TOKEN={os.environ['LIVE_TOKEN']}\n")
    return str(path)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
