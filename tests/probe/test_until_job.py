"""RUNNER_CREDENTIAL=until-job: even root with CAP_SYS_PTRACE finds a remove-token at most."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from simulator import Simulator
from tests.probe.cage import Cage
from tests.probe.test_job import WAYS, given
from tests.support.life import NAMESPACE, Life, until

HOOK = "ACTIONS_RUNNER_HOOK_JOB_STARTED"
REMOVE_TOKEN = "/actions/runners/remove-token"


@pytest.fixture
def cage(new_life: Callable[..., Life]) -> Cage:
    """A cage whose life drops its credential, and whose jobs may look into all processes."""
    made = Cage(new_life())
    made.life.env |= {"RUNNER_CREDENTIAL": "until-job", "RUNNER_ALLOW_PTRACE": "1"}
    return made


@pytest.fixture
def life(life: Life) -> Life:
    """A life that drops its credential before a job."""
    life.env["RUNNER_CREDENTIAL"] = "until-job"
    return life


@pytest.mark.parametrize("way", WAYS)
def test_root_finds_nothing(cage: Cage, way: str) -> None:
    """Root reads the environment, memory and descriptors of PID 1, and finds no credential."""
    cage.start("sys_ptrace", **given(cage, way, "GITHUB_PERSONAL_TOKEN", cage.token)).idle()
    runner, root = cage.probed()
    assert {"mem", "fd"} <= root.looked.keys()
    assert "PAT" not in runner.names | root.names
    assert not any("registration" in name for name in runner.names | root.names)
    requests = [request["path"] for request in cage.simulator.requests()]
    assert sum(path.endswith("/remove-token") for path in requests) == 1


def test_remove_token_is_all_that_root_finds(cage: Cage) -> None:
    """Root finds the remove-token that PID 1 keeps, so the probe does look there."""
    cage.start("sys_ptrace").idle()
    begun = cage.life.directory / "begun"
    command = " ".join(cage.command())
    job = cage.simulator.queue_job(f"until [ -e {begun} ]; do sleep 0.02; done; sudo -n {command}")
    until(lambda: cage.simulator.tokens().get("remove"))
    cage.idle()
    begun.touch()
    assert cage.life.wait() == 0, cage.life.output
    log = cage.simulator.job(job["id"])["log"]
    assert '"remove token 0", "plain", "fd of PID 1"' in log
    assert '"PAT"' not in log


def test_a_strict_umask_closes_no_hook(life: Life, simulator: Simulator) -> None:
    """The runner's user can run the hook although the umask is strict."""
    job = simulator.queue_job("echo hello")
    life.start(namespace=[*NAMESPACE, "sh", "-c", 'umask 077; exec "$0" "$@"'])
    assert life.wait() == 0
    assert simulator.job(job["id"])["result"] == "succeeded"


def test_no_step_begins_before_the_credential_is_gone(life: Life, simulator: Simulator) -> None:
    """A job waits for GitHub's answer however long that takes."""
    simulator.fault(path=REMOVE_TOKEN, delay=0.5)
    job = simulator.queue_job("echo first step")
    assert life.start().wait() == 0, life.output
    requests = {request["path"]: request for request in simulator.requests()}
    exchanged = next(r for path, r in requests.items() if path.endswith(REMOVE_TOKEN))
    spoke = next(r for path, r in requests.items() if path.endswith("/joblog"))
    assert spoke["time"] >= exchanged["time"] + exchanged["seconds"]
    assert simulator.job(job["id"])["log"] == "first step\n"


@pytest.mark.parametrize("fault", [{"status": 403}, {"refusal": "bad-credentials"}])
def test_it_is_dropped_even_if_the_exchange_fails(cage: Cage, fault: dict[str, object]) -> None:
    """If GitHub refuses, a warning says so, the job runs, and nothing is found."""
    cage.simulator.fault(path=REMOVE_TOKEN, **fault)
    cage.start("sys_ptrace").idle()
    _runner, root = cage.probed()
    assert root.names <= {"runner key"}
    assert "GitHub gave no remove-token" in cage.life.output


def test_cancelled_job(life: Life, simulator: Simulator) -> None:
    """GitHub has dropped the runner of a cancelled job, so "not found" means removed."""
    simulator.queue_job("exec sleep 60")
    life.start()
    until(lambda: simulator.tokens().get("remove"))
    until(lambda: "sleep" in life.inside().values())
    life.signal()
    assert life.wait() == 143, life.output
    assert simulator.runners() == []
    assert sum(r["path"].endswith(REMOVE_TOKEN) for r in simulator.requests()) == 1
    assert not any(
        r["method"] == "GET" and "/actions/runners/1" in r["path"] for r in simulator.requests()
    )


def test_stop_while_idle(life: Life, simulator: Simulator) -> None:
    """Without a job the credential is still there, and removes the runner."""
    life.start()
    simulator.wait_for("session_opened")
    life.signal()
    assert life.wait() == 143, life.output
    assert simulator.runners() == []
    assert list((life.directory / "state").glob("job-started*")) == []


def test_stop_while_the_job_waits(life: Life, simulator: Simulator) -> None:
    """A stop during the exchange cancels the job and removes the runner."""
    simulator.fault(path=REMOVE_TOKEN, delay=3.0)
    job = simulator.queue_job("echo never")
    life.start()
    simulator.wait_for("request", path=REMOVE_TOKEN)
    life.signal()
    assert life.wait() == 143, life.output
    assert simulator.runners() == []
    assert "never" not in simulator.job(job["id"])["log"]


def test_job_that_comes_with_the_stop_is_drained(life: Life, simulator: Simulator) -> None:
    """With a drain a waiting job gets its answer after the stop as well."""
    simulator.fault(path=REMOVE_TOKEN, delay=1.0)
    job = simulator.queue_job("echo drained")
    life.start(RUNNER_DRAIN_TIMEOUT="20")
    simulator.wait_for("request", path=REMOVE_TOKEN)
    life.signal()
    assert life.wait() == 0, life.output
    assert simulator.job(job["id"])["result"] == "succeeded"
    assert simulator.job(job["id"])["log"] == "drained\n"


@pytest.mark.parametrize(
    ("name", "text", "result", "words"),
    [
        ("mine.sh", "echo mine; false || exit 0", "succeeded", "mine\nstep\n"),
        ("it's mine.sh", "echo mine", "succeeded", "mine\nstep\n"),
        ("mine.sh", "exit 3", "failed", ""),
        ("mine.js", "", "succeeded", "v24.0.0\nstep\n"),
    ],
)
def test_hook_of_the_user_comes_next(
    life: Life, simulator: Simulator, name: str, text: str, result: str, words: str | None
) -> None:
    """A job-started hook of the user runs next, and decides whether the job may begin."""
    path = life.directory / name
    path.write_text(text)
    job = simulator.queue_job("echo step")
    life.env[HOOK] = str(path)
    assert life.start().wait() == 0, life.output
    assert simulator.job(job["id"])["result"] == result
    assert words is None or words in simulator.job(job["id"])["log"]


def test_hook_and_pipes_are_roots(life: Life, simulator: Simulator) -> None:
    """A job can read and run the hook and not change it; the pipes are gone by then."""
    state = life.directory / "state"
    job = simulator.queue_job(f"stat -c '%A %U %n' ${HOOK}; ls {state}; echo >>${HOOK} || true")
    assert life.start().wait() == 0, life.output
    first, *names, last = simulator.job(job["id"])["log"].splitlines()
    assert first == f"-r-xr-xr-x root {state}/job-started.sh"
    assert names == ["job-started.sh", "state.json"]
    assert "Permission denied" in last
    assert list(state.glob("job-started*")) == []


def test_leftovers_of_a_killed_life_are_no_obstacle(life: Life, simulator: Simulator) -> None:
    """A container that is started again replaces the hook and the pipes of before."""
    state = life.directory / "state"
    state.mkdir()
    for name in ("job-started.sh", "job-started.ask", "job-started.answer"):
        (state / name).touch()
    simulator.queue_job()
    assert life.start().wait() == 0, life.output


def test_warning_about_the_environment(life: Life, simulator: Simulator) -> None:
    """A warning names the better ways for a token that came in the environment."""
    simulator.queue_job()
    assert life.start().wait() == 0
    [warning] = [line["event"] for line in life.log if "until-job drops" in line["event"]]
    assert "(RUNNER_ENVFILE)" in warning
    assert "(GITHUB_PERSONAL_TOKEN_FILE)" in warning


def test_no_warning_about_a_file(life: Life, simulator: Simulator) -> None:
    """A token that came in an env file causes no warning."""
    path = life.directory / "env"
    path.write_text(f"GITHUB_PERSONAL_TOKEN={life.env.pop('GITHUB_PERSONAL_TOKEN')}\n")
    simulator.queue_job()
    assert life.start(RUNNER_ENVFILE=str(path)).wait() == 0, life.output
    assert [line for line in life.log if line["level"] == "warning"] == []


def test_not_without_ephemeral(life: Life, simulator: Simulator) -> None:
    """A runner that takes a second job is refused: it needs its credential longer."""
    assert life.start(RUNNER_EPHEMERAL="0").wait() == 78
    assert "RUNNER_CREDENTIAL: until-job is for ephemeral runners" in life.error()
    assert simulator.requests() == []


def test_hook_in_the_runners_own_env_file(life: Life, simulator: Simulator) -> None:
    """A hook in the runner's .env is refused: it would replace the hook of gh-runner."""
    (life.home / ".env").write_text(f"LANG=C\n{HOOK}=/mine.sh\n")
    assert life.start().wait() == 78
    assert f"{HOOK}: is set in {life.home}/.env" in life.error()
    assert simulator.requests() == []


def test_state_directory_that_cannot_be_written(life: Life, simulator: Simulator) -> None:
    """Without a directory for the pipes nothing starts."""
    assert life.start(RUNNER_STATE_DIR="/proc/gh-runner").wait() == 78
    assert "RUNNER_STATE_DIR: RUNNER_CREDENTIAL=until-job" in life.error()
    assert simulator.requests() == []
